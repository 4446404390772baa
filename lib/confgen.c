/*
 * SPDX-License-Identifier: ISC
 *
 * confgen - prints the sample file or the key list of arkenspool.conf(5) while building.
 *
 * It is not installed.
 */
#include "config.h"

#include <stdio.h>
#include <sysexits.h>

#include "conf.h"
#include "str.h"

int
main(int argc, char **argv)
{
	if (argc == 2 && str_eq(argv[1], "--sample")) {
		conf_print_sample(stdout);
	} else if (argc == 2 && str_eq(argv[1], "--mdoc")) {
		conf_print_mdoc(stdout);
	} else {
		(void)fputs("usage: confgen --sample | --mdoc\n", stderr);
		return EX_USAGE;
	}
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		perror("confgen: write");
		return EX_IOERR;
	}
	return EX_OK;
}
