/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Why @glob fits the modalias of no device on a governed bus, as a phrase, or NULL where it may fit
 * one. */
const char *modalias_glob_problem(const char *glob);

/* Whether @id, an id of ACPI's or a glob on one, is in lower case where such ids are not. */
bool acpi_id_is_lower(const char *id);
