/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util.h"
#include "vector.h"

/* modprobe.d(5), as libkmod reads it, with the place of each line, which libkmod does not tell. */

enum ModprobeCommand {
	MODPROBE_BLACKLIST, /* name: a module */
	MODPROBE_INSTALL,   /* name: a glob on modules, text: the command */
	MODPROBE_SOFTDEP,   /* name: a glob on modules, text: what comes before and after them */
	MODPROBE_ALIAS, /* name: a glob on aliases, text: the module, by convention "off" for none
			 */
	_MODPROBE_COMMAND_MAX,
};

struct ModprobeLine {
	enum ModprobeCommand command;
	char *name;	  /* with "_" for "-", but in brackets; so is the text of an alias */
	char *text;	  /* "" for a blacklist */
	const char *file; /* of the struct's own */
	unsigned line;	  /* on which it begins, from 1 */
	bool is_ours;	  /* tdx-auth rendered it */
};

/* The zero value is empty. */
struct ModprobeConfig {
	struct Vector lines; /* of struct ModprobeLine, in the order in which libkmod has them */
	struct Vector files; /* of strings, owned */
	bool without_ours;   /* set before: lines that tdx-auth rendered are left out */
};

/* The directories of libkmod, in falling order of precedence for files of one name: NULL ends them.
 * libkmod.c, default_config_paths; older versions know no /usr/lib, where it is the same as /lib.
 */
extern const char *const modprobe_directories[];

/* Reads the NAME.conf of all of them, below @root, NULL for this system: files of all in the order
 * of names, and of those of one name the one in the first directory. @kernel is the directory of a
 * kernel's modules, whose modules.softdep is one of the files, or NULL. What cannot be read is left
 * out, as libkmod does it. @kernel is below @root, too. They are added to *@config. Returns 0 or
 * -ENOMEM. */
int modprobe_config_read(const char *root, const char *kernel, struct ModprobeConfig *config);

/* Adds what modprobe.blacklist= has on the command line of the kernel, as lines of /proc/cmdline,
 * below @root, NULL for this system: kmod_config_parse_kcmdline(). Returns 0 or -ENOMEM. */
int modprobe_config_read_cmdline(const char *root, struct ModprobeConfig *config);

/* Adds the lines of the @size bytes at @text, which may be anything. Returns 0 or -ENOMEM. */
int modprobe_config_parse(struct ModprobeConfig *config, const char *name, const char *text,
			  size_t size);

void modprobe_config_done(struct ModprobeConfig *config);

/* The line by which udev and `modprobe -b` do not load @module, or NULL: a blacklist, or the first
 * `install` that fits where its command loads nothing. Lines that tdx-auth rendered do not count.
 */
const struct ModprobeLine *modprobe_config_refusal(const struct ModprobeConfig *config,
						   const char *module);

/* The line by which nobody loads @module, but by its file, or NULL: the first `install` that fits,
 * where its command is our gate, or loads nothing. libkmod runs no command for a module that has
 * soft dependencies. *ret_instead is the line of which it does something else, or NULL: none. */
const struct ModprobeLine *modprobe_config_bar(const struct ModprobeConfig *config,
					       const char *module,
					       const struct ModprobeLine **ret_instead);

/* The line that tells the soft dependencies of @module, or NULL: the first, which alone counts; but
 * not one of ours. */
const struct ModprobeLine *modprobe_config_softdep(const struct ModprobeConfig *config,
						   const char *module);

/* Walks what a softdep names: *@pos is its text at first. Returns the next name, of a module or an
 * alias, *ret_len bytes long and not terminated, or NULL at the end; *ret_after is whether it comes
 * after the module. */
const char *softdep_next(const char **pos, size_t *ret_len, bool *ret_after);

/* "-" becomes "_", but in brackets: libkmod's underscores(). */
void module_name_normalize(char *name);
