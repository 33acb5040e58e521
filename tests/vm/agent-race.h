/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* agent race ROUNDS RACER...: a process for each RACER, all at once, each until all have done
 * their rounds, so that no round is run alone. A racer is one of
 *
 *   FILE=TEXT[,TEXT]...   writes the texts in turn, with one write(2) each
 *   +BUS=TEXT[,TEXT]...   writes them to the attribute "authorized" of each device that is added to
 *                         this bus, as soon as the kernel announces it
 *   FILE                  reads it
 *   @FILE                 maps its first page and reads from it, again and again
 *   !COMMAND              runs it by the shell
 *
 * FILE may be a pattern and then is each file that matches. A round without a file is none. Prints
 * for each racer how its rounds ended. Returns an exit status: 0 if they were done. */
int race(unsigned int rounds, char *const *racers, unsigned int n);
