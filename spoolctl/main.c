/*
 * SPDX-License-Identifier: ISC
 *
 * spoolctl - the operator's tool: looks at the events of a spool and moves them.
 *
 * It works with and without a running daemon.  One table names the commands;
 * help is made from it.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "clk.h"
#include "ctl.h"
#include "filter.h"
#include "log.h"
#include "move.h"
#include "out.h"
#include "str.h"
#include "user.h"

#define ID_HELP                                                                                \
	"An ID is the name of an event, its key, or any beginning of the key that no other\n"  \
	"event has; \"spoolctl ls\" shows such beginnings.\n"

static const struct command commands[] = {
    {"ls", "[STATE] [--json] " FILTER_USAGE, "list events, the oldest first",
	"STATE is waiting, running, failed, held, rejected, done or all; without it\n"
	"everything that is not done is listed.  With --json each event is one line of\n"
	"JSON.\n" FILTER_HELP
	"\n  example: spoolctl ls failed --json | jq -r .id | spoolctl retry -\n",
	cmd_ls},
    {"status", "[--json]", "how everything is, on one screen",
	"The first line says it in a sentence.  Exit status 0: all is well, 1: a person\n"
	"is needed, 2: spoold does not run; so it is fit for cron and for Nagios.  Whether\n"
	"spoold runs is asked of its lock, what waits of the folders, so it works in any\n"
	"state.\n\n"
	"  example: spoolctl status || spoolctl status | mail -s arkenspool root\n",
	cmd_status},
    {"count", "[--json] " FILTER_USAGE, "how many events are in each state",
	FILTER_HELP "\n  example: spoolctl count --since 2h\n", cmd_count},
    {"shape", "[STATE] [--json] " FILTER_USAGE, "how old the events of each kind are",
	"A row a kind, a column an age in minutes, as Postfix's qshape.  Without STATE\n"
	"what waits or is in work.\n" FILTER_HELP "\n  example: spoolctl shape failed\n",
	cmd_shape},
    {"show", "[--raw | --body] ID", "print an event: its header fields and its body",
	"With --raw the file is written byte for byte, with --body the body alone; neither\n"
	"is made harmless for a terminal.\n\n" ID_HELP "\n  example: spoolctl show 0b0f6a2e\n",
	cmd_show},
    {"explain", "ID", "tell the story of an event, and what can be done now",
	"\n" ID_HELP "\n  example: spoolctl explain 0b0f6a2e\n", cmd_explain},
    {"retry", MOVE_USAGE,
	"let failed, held or waiting events be tried now, read rejected ones again",
	"The tries are counted anew.  What is in rejected is read again with what the\n"
	"configuration says now; the events in it go to the queue, the rejected file to\n"
	"done.  ALL and filters mean failed events.\n" MOVE_HELP "\n" ID_HELP
	"\n  example: spoolctl retry --kind FileStore.Upload --older 2h\n",
	cmd_retry},
    {"hold", "[--reason TEXT] " MOVE_USAGE, "set events aside until they are released",
	"A held event is not tried and does not age.  ALL and filters mean waiting "
	"events.\n" MOVE_HELP "\n" ID_HELP
	"\n  example: spoolctl hold 0b0f6a2e --reason \"asked Arken, case 4711\"\n",
	cmd_hold},
    {"release", MOVE_USAGE, "put held events back into the queue",
	"The tries are counted anew.  ALL and filters mean held events.\n" MOVE_HELP
	"\n" ID_HELP "\n  example: spoolctl release ALL\n",
	cmd_release},
    {"drop", "--reason TEXT " MOVE_USAGE, "give events up, and say why",
	"A dropped event is kept in done as long as any other, with its reason in the\n"
	"spool's log; when it is delivered again it is known as a repeat.  ALL and filters\n"
	"mean failed events.\n" MOVE_HELP "\n" ID_HELP
	"\n  example: spoolctl drop 0b0f6a2e --reason \"test event of 5 March\"\n",
	cmd_drop},
    {"flush", "[--dry-run]", "make every waiting event due now",
	"What was tried stays counted; a target that is paused stays paused.\n\n"
	"  example: spoolctl flush\n",
	cmd_flush},
    {"purge", "[--older AGE] [--dry-run]", "remove what has been done or rejected for long",
	"Without --older what is older than retention; spoold does the same every hour.\n\n"
	"  example: spoolctl purge --older 60d --dry-run\n",
	cmd_purge},
    {"erase", "--client HASH [--account NAME] [--dry-run] [--yes] [--json]",
	"take everything about a client out of spool, store and log",
	"Each event about the client or a document of the client's is replaced, under its\n"
	"name in done, by one that says nothing but that it was erased, so that a repeat is\n"
	"known until retention ends; records, documents and versions are removed, and the\n"
	"lines of the spool's log lose what they tell.  What goes is shown and asked about;\n"
	"--yes (-y) does not ask, --dry-run (-n) only shows.  A receipt without personal data\n"
	"is printed and kept.  Interrupted, the same command does the rest.\n\n"
	"  example: spoolctl erase --client 8KqWbT2mNcR5vYxZ0aLdPf --dry-run\n",
	cmd_erase},
    {"targets", "[--json]", "what is left alone because it is down or paused, and why",
	"A target is what events need from outside: the API, its token, the hook or the\n"
	"forward of an account, the host of documents.  Their events wait uncounted.\n\n"
	"  example: spoolctl targets\n",
	cmd_targets},
    {"pause", "[--reason TEXT] TARGET", "leave a target alone until it is resumed",
	"TARGET is api:, token:, hook: or forward: and the name of an account, or\n"
	"document: and a host.  What is under way goes on.\n\n"
	"  example: spoolctl pause hook:acme --reason \"the CRM moves on Sunday\"\n",
	cmd_pause},
    {"resume", "TARGET", "use a target again that was paused or found down",
	"What waits for it is tried now.\n\n  example: spoolctl resume hook:acme\n",
	cmd_resume},
    {"replay", "[--url URL] [--bearer FILE] [--json] ID",
	"print a command that delivers an event again",
	"The command posts the body, with the account's first secret, to URL or to the\n"
	"account's public_url; neither the secret nor the body stands in it.  With --bearer\n"
	"FILE it sends the token in FILE instead, one of the account's issuer.  Run it as\n"
	"somebody who may read the spool and that file.\n\n" ID_HELP
	"\n  example: spoolctl replay 0b0f6a2e | sh\n",
	cmd_replay},
    {"check", "[--online] [--hook] [--receiver USER] [--json]",
	"look for what is wrong with the installation",
	"Configuration, owners and modes, secrets, room, and whether spoold runs.  With\n"
	"--online also the API, its token and account, certificates, clock, issuer, and the\n"
	"account's public_url.  With --hook each hook is run with an event that was never\n"
	"sent, and with ARKEN_TEST=1.  USER is who runs arken.fcgi, if not arken-fcgi.  Each\n"
	"line is ok, a warning or a failure, with what to do; with --json it is one line of\n"
	"JSON.  The exit status is 78 after a failure, 0 after warnings.  As root it sees "
	"most.\n"
	"\n  example: spoolctl check --online\n",
	cmd_check},
    {"subscribe",
	"[--account NAME] [--url URL] [--secret | --openid] [--new-secret] [--replace] [--yes] "
	"[--dry-run] [--json]",
	"tell Arken where to post events, and with which credential",
	"The URL is public_url of the account, unless --url gives another.  The credential is\n"
	"the newest line of secret_file, in the header secret_header; or, with --openid, the\n"
	"client with which Arken gets tokens of issuer (subscription_token_url and its kin).\n"
	"Without --secret and --openid it is the one that the account has.  A secret is made\n"
	"if the file has none, and with --new-secret: it becomes the newest line, and the\n"
	"older ones stay valid.  With --replace a subscription that is there is replaced.\n"
	"What is sent is shown before, its secrets masked; at a terminal it is asked whether\n"
	"to go on, unless --yes is given.\n\n"
	"  example: spoolctl subscribe --account acme --dry-run\n",
	cmd_subscribe},
    {"subscription", "[--account NAME] [--json]", "show where Arken posts events to",
	"Texts that look secret are masked.  The exit status is 66 if there is none.\n\n"
	"  example: spoolctl subscription\n",
	cmd_subscription},
    {"unsubscribe", "[--account NAME] [--yes] [--dry-run] [--json]",
	"have Arken post no more events",
	"They are still in Arken's event feed.  At a terminal it is asked whether to go on,\n"
	"unless --yes is given.\n\n"
	"  example: spoolctl unsubscribe --account acme\n",
	cmd_unsubscribe},
    {"reconcile", "[--account NAME] [--since N] [--dry-run] [--timeout TIME] [--json]",
	"compare the event feed with the spool, and take what is missing",
	"spoold does it, and is waited for, 2 minutes or TIME; where no spoold runs, or with\n"
	"--dry-run (-n), which puts nothing into the spool, it is done here.  Without\n"
	"--account every account whose reconcile is on; with --since N, from event number N\n"
	"on, one account.\n\n"
	"  example: spoolctl reconcile --account acme --since 1200 --dry-run\n",
	cmd_reconcile},
    {"send-test",
	"[--kind Category.Type] [--account NAME] [--client HASH] [--url URL] [--bearer FILE] "
	"[--timeout TIME] [--dry-run] [--json]",
	"post a test event through the public URL, and follow it to its end",
	"It goes the whole way: web server, arken.fcgi, queue, spoold, API; a line a step,\n"
	"with the time since the start.  Its object is made up, so Arken's API answers that\n"
	"there is none, and nothing is handed over.  With --client HASH of a client that is\n"
	"there, its record is fetched and handed over: the CRM sees an ordinary event.  The\n"
	"kind is Client.Update, the URL public_url, the credential the newest line of\n"
	"secret_file, unless told otherwise; --bearer sends the token in FILE, --dry-run (-n)\n"
	"only shows.  Exit status: 0 done, 65 failed, 69 the URL is not reached, 75 accepted\n"
	"but not done in a minute or TIME (it goes on), 77 or 78 refused.\n\n"
	"  example: spoolctl send-test --timeout 10s\n",
	cmd_send_test},
    {"pull",
	"--client HASH [--document HASH] [--account NAME] [-o FILE|DIR] [--force] [--dry-run] "
	"[--json]",
	"fetch documents of a client by hand",
	"All documents that the API lists for the client, or the one of --document: details,\n"
	"link, download and checks are those of spoold, which may run meanwhile.  They go\n"
	"into the store, or with -o (--output) to a file or folder, where nothing is\n"
	"overwritten without --force.  With --dry-run (-n) nothing is downloaded.\n\n"
	"  example: spoolctl pull --client 8KqT2m --dry-run\n",
	cmd_pull},
    {"make-spool", "[-u USER] [-g GROUP]", "make the folders of a spool, or what is missing",
	"Root gives them to USER, the user of spoold; anybody else makes his own.  Without\n"
	"-g it is the group of the configuration, with -s that of who runs this.\n\n"
	"  example: spoolctl -s /var/spool/arkenspool make-spool -u arkenspool -g arkenspool\n",
	cmd_make_spool},
    {"clear-mark", "[--dry-run]", "let events be accepted again after a failed sync",
	"While the mark stands every request is answered 503, because the disk did not say\n"
	"that an event is safe.  Look at the disk and the kernel's log first.\n\n"
	"  example: spoolctl clear-mark\n",
	cmd_clear_mark},
    {"completion", "{bash | zsh | fish}", "print a completion script for a shell",
	"\n  example: spoolctl completion bash > /etc/bash_completion.d/spoolctl\n",
	cmd_completion},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *
ctl_commands(size_t *n)
{
	*n = COMMANDS;
	return commands;
}

static int
print_help(void)
{
	(void)fputs("usage: spoolctl [-c FILE] [-s SPOOL] COMMAND [ARGUMENT...]\n"
		    "       spoolctl COMMAND --help | --help | -V\n\n",
	    stdout);
	for (size_t i = 0; i < COMMANDS; i++)
		(void)printf("  %-12s %s\n", commands[i].name, commands[i].help);
	(void)fputs(
	    "\n"
	    "  -c, --config FILE  the configuration, instead of $ARKENSPOOL_CONF or\n"
	    "                     " SYSCONFDIR "/arkenspool/arkenspool.conf\n"
	    "  -s, --spool DIR    this spool, without a configuration\n"
	    "  -V, --version      the version\n"
	    "\n"
	    "  example: spoolctl ls failed\n"
	    "\n"
	    "Exit status: 0 done, 64 usage, 65 an ID is ambiguous or an event is not fit for\n"
	    "this, 66 no such event, spool or\n"
	    "subscription, 69 not reached, 74 output failed, 75 busy (try again), 77 no\n"
	    "permission, 78 configuration.\n",
	    stdout);
	return EX_OK;
}

#define USAGE_WIDTH 80
#define USAGE_INDENT 15 /* of the lines after the first */

/* Words with blanks between them, broken where the line is full; a [...] stays together. */
static void
print_usage(const struct command *k)
{
	int column = printf("usage: spoolctl %s", k->name);

	for (const char *p = k->usage; *p != '\0';) {
		size_t n = strcspn(p, *p == '[' ? "]" : " ");

		n += strcspn(p + n, " ");
		if (column + 1 + (int)n > USAGE_WIDTH)
			column = printf("\n%*s", USAGE_INDENT, "") - 1;
		column += printf(" %.*s", (int)n, p);
		p += n + strspn(p + n, " ");
	}
	(void)printf("\n\n");
}

static void
print_command_help(const struct command *k)
{
	print_usage(k);
	(void)printf("%s.\n%s", k->help, k->text);
}

/* The option getopt_long stumbled over; a letter inside a cluster is not an argument by itself.
 */
static void
name_option(int opt, char **argv, char *out, size_t size)
{
	if (opt == '?' && optopt > 0 && optopt < 128)
		(void)snprintf(out, size, "-%c", optopt);
	else
		(void)snprintf(out, size, "%.60s", argv[optind - 1]);
}

int
ctl_option(
    const struct ctl *c, int argc, char **argv, const char *letters, const struct option *names)
{
	char which[80];
	int opt;

	opterr = 0;
	opt = getopt_long(argc, argv, letters, names, NULL);
	if (opt == 'h') {
		print_command_help(c->command);
		return CTL_DONE;
	}
	if (opt == ':' || opt == '?') {
		name_option(opt, argv, which, sizeof(which));
		(void)ctl_usage(c, "%s %s", which,
		    opt == ':' ? "needs a value" : "is no option here, or not a clear one");
		return CTL_BAD;
	}
	return opt;
}

int
ctl_option_exit(int opt)
{
	return opt == CTL_DONE ? EX_OK : EX_USAGE;
}

static int
run_command(struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!str_eq(commands[i].name, argv[0]))
			continue;
		c->command = &commands[i];
		optind = 0; /* getopt_long(3): start anew, with the command's own arguments */
		return commands[i].run(c, argc, argv);
	}
	return ctl_fail(
	    EX_USAGE, "there is no command \"%.40s\": \"spoolctl --help\" lists them", argv[0]);
}

/* The options before the command.  CTL_END: go on; else what to exit with. */
static int
read_global_options(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"config", required_argument, NULL, 'c'},
	    {"spool", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	char which[80];
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:c:s:hV", names, NULL)) != -1) {
		switch (opt) {
		case 'c':
			c->conf_path = optarg;
			c->conf_given = true;
			break;
		case 's':
			c->spool_path = optarg;
			break;
		case 'h':
			return print_help();
		case 'V':
			(void)printf("spoolctl (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION);
			return EX_OK;
		default:
			name_option(opt, argv, which, sizeof(which));
			return ctl_fail(EX_USAGE, "%s %s: see \"spoolctl --help\"", which,
			    opt == ':' ? "needs a value" : "is no option");
		}
	}
	if (optind == argc)
		return ctl_fail(EX_USAGE, "what is to be done? \"spoolctl --help\" lists the "
					  "commands, \"spoolctl ls\" the events");
	return CTL_END;
}

int
main(int argc, char **argv)
{
	const char *env = getenv("ARKENSPOOL_CONF");
	struct ctl c = {.conf_path = SYSCONFDIR "/arkenspool/arkenspool.conf"};
	int status;

	if (env != NULL && env[0] != '\0')
		c.conf_path = env;
	log_open("spoolctl", LOG_KV, LOG_STDERR);
	log_level(LOG_ERROR);
	out_open();
	c.now = clk_wall();
	user_operator(c.operator, sizeof(c.operator), c.uid, sizeof(c.uid));
	if ((status = read_global_options(&c, argc, argv)) == CTL_END)
		status = run_command(&c, argc - optind, argv + optind);
	spool_close(&c.spool);
	conf_free(&c.conf);
	if (!out_close() && status == EX_OK)
		status = ctl_fail(EX_IOERR, "standard output could not be written");
	return status;
}
