/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_completion - completion scripts for shells, made from the table of commands.
 *
 * Options and arguments are taken from the usage lines, so what help shows is what is
 * completed.
 */
#include "config.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"
#include "str.h"
#include "view.h"

#define OPTION 32 /* bytes of a long option, its NUL included */

static const char *const globals[] = {"--config", "--spool", "--help", "--version"};

/* The next long option in a usage line; NULL: no more. */
static const char *
next_option(const char *usage, char out[OPTION])
{
	const char *p = usage;

	while ((p = strstr(p, "--")) != NULL) {
		size_t n = 2 + strspn(p + 2, "abcdefghijklmnopqrstuvwxyz-");

		if (n > 2 && str_copy_n(out, OPTION, p, n))
			return p + n;
		p += n;
	}
	return NULL;
}

/* Every option of a command, each once, after before and with after. */
static void
print_options(const struct command *k, const char *before, const char *after)
{
	char option[OPTION], earlier[OPTION];

	for (const char *p = k->usage; (p = next_option(p, option)) != NULL;) {
		const char *q = next_option(k->usage, earlier);

		while (q != p && !str_eq(earlier, option))
			q = next_option(q, earlier);
		if (q == p)
			(void)printf("%s%s%s", before, option, after);
	}
	(void)printf("%s--help%s", before, after);
}

static void
print_states(const char *before)
{
	for (enum state st = ST_WAITING; st < STATES; st++)
		(void)printf("%s%s", before, state_name(st));
	(void)printf("%sall", before);
}

static bool
takes(const struct command *k, const char *what)
{
	return strstr(k->usage, what) != NULL;
}

static void
print_bash(const struct command *k, size_t n)
{
	(void)fputs("# bash completion of spoolctl; made by \"spoolctl completion bash\"\n"
		    "_spoolctl() {\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd= words= ids= i\n"
		    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		    "\t\tcase ${COMP_WORDS[i]} in\n"
		    "\t\t-c | -s | --config | --spool) ((i++)) ;;\n"
		    "\t\t-*) ;;\n"
		    "\t\t*) cmd=${COMP_WORDS[i]}; break ;;\n"
		    "\t\tesac\n"
		    "\tdone\n"
		    "\tcase $cmd in\n"
		    "\t'') words='",
	    stdout);
	for (size_t i = 0; i < n; i++)
		(void)printf("%s ", k[i].name);
	for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++)
		(void)printf("%s ", globals[i]);
	(void)printf("' ;;\n");
	for (size_t i = 0; i < n; i++) {
		(void)printf("\t%s) words='", k[i].name);
		print_options(&k[i], " ", "");
		if (takes(&k[i], "STATE"))
			print_states(" ");
		if (takes(&k[i], "ALL"))
			(void)printf(" ALL");
		(void)printf("'%s ;;\n", takes(&k[i], "ID") ? "; ids=1" : "");
	}
	(void)fputs("\tesac\n"
		    "\tif [[ -n $ids && $cur != -* ]]; then\n"
		    "\t\twords+=\" $(spoolctl ls all --json 2>/dev/null |\n"
		    "\t\t\tsed -n 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/p')\"\n"
		    "\tfi\n"
		    "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		    "}\n"
		    "complete -o default -F _spoolctl spoolctl\n",
	    stdout);
}

static void
print_zsh(const struct command *k, size_t n)
{
	(void)fputs("#compdef spoolctl\n"
		    "# zsh completion of spoolctl; made by \"spoolctl completion zsh\"\n"
		    "local -a commands words_of ids\n"
		    "commands=(\n",
	    stdout);
	for (size_t i = 0; i < n; i++)
		(void)printf("\t'%s:%s'\n", k[i].name, k[i].help);
	(void)fputs(")\n"
		    "if ((CURRENT == 2)); then\n"
		    "\t_describe command commands\n"
		    "\treturn\n"
		    "fi\n"
		    "case $words[2] in\n",
	    stdout);
	for (size_t i = 0; i < n; i++) {
		(void)printf("%s) words_of=(", k[i].name);
		print_options(&k[i], " ", "");
		if (takes(&k[i], "STATE"))
			print_states(" ");
		if (takes(&k[i], "ALL"))
			(void)printf(" ALL");
		(void)printf(" )%s ;;\n", takes(&k[i], "ID") ? "; ids=(1)" : "");
	}
	(void)fputs("esac\n"
		    "if (($#ids)) && [[ $PREFIX != -* ]]; then\n"
		    "\twords_of+=(${(f)\"$(spoolctl ls all --json 2>/dev/null |\n"
		    "\t\tsed -n 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/p')\"})\n"
		    "fi\n"
		    "compadd -a words_of\n",
	    stdout);
}

static void
print_fish(const struct command *k, size_t n)
{
	(void)fputs("# fish completion of spoolctl; made by \"spoolctl completion fish\"\n"
		    "complete -c spoolctl -f\n"
		    "complete -c spoolctl -n __fish_use_subcommand -s c -l config -r -F -d "
		    "'the configuration'\n"
		    "complete -c spoolctl -n __fish_use_subcommand -s s -l spool -r -F -d "
		    "'this spool, without a configuration'\n",
	    stdout);
	for (size_t i = 0; i < n; i++) {
		char before[128];

		(void)printf("complete -c spoolctl -n __fish_use_subcommand -a %s -d '%s'\n",
		    k[i].name, k[i].help);
		(void)snprintf(before, sizeof(before),
		    "complete -c spoolctl -n '__fish_seen_subcommand_from %s' -a '", k[i].name);
		print_options(&k[i], before, "'\n");
		if (takes(&k[i], "STATE")) {
			(void)printf("%s", before);
			print_states(" ");
			(void)printf("'\n");
		}
		if (takes(&k[i], "ALL"))
			(void)printf("%sALL'\n", before);
		if (takes(&k[i], "ID"))
			(void)printf("%s(spoolctl ls all --json 2>/dev/null | "
				     "string replace -rf \\'.*\"id\":\"([^\"]*)\".*\\' "
				     "\\'$1\\')'\n",
			    before);
	}
}

int
cmd_completion(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	static const struct {
		const char *name;
		void (*print)(const struct command *k, size_t n);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
	const struct command *k;
	size_t n;
	int opt;

	if ((opt = ctl_option(c, argc, argv, ":h", names)) != CTL_END)
		return ctl_option_exit(opt);
	k = ctl_commands(&n);
	for (size_t i = 0; argc - optind == 1 && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (str_eq(argv[optind], shells[i].name)) {
			shells[i].print(k, n);
			return EX_OK;
		}
	return ctl_usage(c, "for which shell? bash, zsh or fish");
}
