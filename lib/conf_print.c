/*
 * SPDX-License-Identifier: ISC
 *
 * conf_print - the table of keys as a sample file and as a part of arkenspool.conf(5).
 *
 * What is printed cannot differ from what is parsed: both are one table.
 */
#include "config.h"

#include <ctype.h>
#include <string.h>

#include "conf_keys.h"

#define COLUMNS 78     /* longer lines are wrapped */
#define PARAGRAPH 1024 /* help and value of one key */

/* One word; what mdoc would take for its own is disarmed (mdoc(7), roff(7)). */
static void
put_word(FILE *out, const char *word, size_t n, bool first, bool mdoc)
{
	if (mdoc && first && (word[0] == '.' || word[0] == '\''))
		(void)fputs("\\&", out);
	for (size_t i = 0; i < n; i++) {
		if (mdoc && word[i] == '\\')
			(void)fputs("\\e", out);
		else
			(void)fputc(word[i], out);
	}
}

/* Text in lines that begin with prefix; in mdoc each sentence has lines of its own. */
static void
put_text(FILE *out, const char *prefix, const char *text, bool mdoc)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		bool first = column == 0;

		if (!first && column + 1 + n > COLUMNS) {
			(void)fputc('\n', out);
			column = 0;
			first = true;
		}
		(void)fputs(first ? prefix : " ", out);
		put_word(out, text, n, first, mdoc);
		column += n + (first ? strlen(prefix) : 1);
		if (mdoc && n > 0 && text[n - 1] == '.' && text[n] != '\0') {
			(void)fputc('\n', out);
			column = 0;
		}
		text += n + strspn(text + n, " ");
	}
	if (column > 0)
		(void)fputc('\n', out);
}

/* "Help.  A number from 1 to 512; default 16." */
static void
describe(const struct conf_key *k, char out[PARAGRAPH])
{
	char expect[CONF_EXPECT];
	const char *def = k->def != NULL ? k->def : k->otherwise;

	conf_value_expect(k, expect);
	expect[0] = (char)toupper((unsigned char)expect[0]);
	(void)snprintf(out, PARAGRAPH, "%s %s; %s%s.", k->help, expect,
	    def != NULL ? "default: " : "no default", def != NULL ? def : "");
}

static void
sample_section(FILE *out, enum conf_where s)
{
	const struct conf_section *sec = &conf_sections[s];
	char text[PARAGRAPH];

	(void)fputc('\n', out);
	put_text(out, "# ", sec->help, false);
	if (sec->title != NULL)
		(void)fprintf(out, "#[%s %s]\n", sec->name, sec->example);
	else
		(void)fprintf(out, "[%s]\n", sec->name);
	for (size_t i = 0; i < conf_nkeys; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (k->section != s)
			continue;
		describe(k, text);
		(void)fputc('\n', out);
		put_text(out, "# ", text, false);
		(void)fprintf(out, "#%s = %s\n", k->name, k->def != NULL ? k->def : k->example);
	}
}

void
conf_print_sample(FILE *out)
{
	put_text(out, "# ",
	    "The configuration of arkenspool. See arkenspool.conf(5). Every key stands here: "
	    "with its default or, where it has none, with an example. To change one, take away "
	    "the # before it.",
	    false);
	put_text(out, "# ",
	    "A line is \"[section]\", \"key = value\", or a comment after # or ; as its first "
	    "character. After a value a comment begins with a space and ; only. A value ends "
	    "with its line. Sizes are bytes or have K, M or G behind them, durations seconds "
	    "or "
	    "have ms, s, m, h or d.",
	    false);
	for (int s = 0; s < CONF_SECTIONS; s++)
		sample_section(out, (enum conf_where)s);
}

void
conf_print_mdoc(FILE *out)
{
	char text[PARAGRAPH];

	for (int s = 0; s < CONF_SECTIONS; s++) {
		const struct conf_section *sec = &conf_sections[s];

		(void)fprintf(out, ".Ss The section %s%s%s\n", sec->name,
		    sec->title != NULL ? " " : "", sec->title != NULL ? sec->title : "");
		put_text(out, "", sec->help, true);
		(void)fputs(".Bl -tag -width Ds\n", out);
		for (size_t i = 0; i < conf_nkeys; i++) {
			if ((int)conf_keys[i].section != s)
				continue;
			(void)fprintf(out, ".It Ic %s\n", conf_keys[i].name);
			describe(&conf_keys[i], text);
			put_text(out, "", text, true);
		}
		(void)fputs(".El\n", out);
	}
}
