/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy.h"

/* Reads the owner's policy: @file alone where it is not NULL, else every NAME.yaml of the three
 * policy directories of names.h, in the order of names; of files of one name the one in /etc wins
 * over /run, and that over /usr/lib. A link to /dev/null masks a name. No file at all is a policy
 * without rules.
 *
 * A file that is writable by group or others, or is owned neither by root nor by the caller, is
 * refused, and so is what does not parse. Every refusal is logged, as FILE:LINE:COLUMN: REASON
 * where it has a place. Returns 0; -EBADMSG or another negative errno after the log told why;
 * there is no half-read policy. The caller frees *ret. */
int policy_load(const char *file, struct Policy **ret);

/* The file as above, and its text as it stands there: a new string, *ret_size bytes long. */
int policy_load_text(const char *file, char **ret_text, size_t *ret_size, struct Policy **ret);

/* The drop-ins below the directory @root, instead of those of the running system. */
int policy_load_from_root(const char *root, struct Policy **ret);

/* The drop-ins that outlive this boot: all but those in /run. */
int policy_load_lasting(struct Policy **ret);

/* The same, as if the owner's directory had a file @name with the @size bytes at @text, in the
 * place of one that is there. */
int policy_load_with(const char *root, const char *name, const char *text, size_t size,
		     struct Policy **ret);

/* The files in the order that they are given in, ended by NULL, as one policy. "-" is standard
 * input, for which whoever opened it answers: nothing but its size is limited. For what only looks
 * at a policy: one that comes into force is a file that can be trusted. */
int policy_load_files(char *const *files, struct Policy **ret);

/* A file that policy_write() made of a whole policy, and that may be as large as its files
 * together: at most 64 MiB. */
int policy_load_in_force(const char *file, struct Policy **ret);

/* What is refused, and why. Strings are not escaped. */
struct PolicyRefusal {
	const char *file;      /* NULL where the message names what it is about */
	unsigned line, column; /* 0 where there is no place */
	const char *message;
};

/* Has @callback called for every refusal beside the log's record of it, until it is NULL. */
void policy_on_refusal(void (*callback)(const struct PolicyRefusal *refusal, void *userdata),
		       void *userdata);
