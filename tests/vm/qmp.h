/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>
#include <stdint.h>

#include "util.h"

/* QEMU's machine protocol (docs/interop/qmp-spec in QEMU): the host's side of a guest. */
struct qmp;

/* Takes @fd, also when it fails. */
int qmp_new(int fd, struct qmp **ret);
void qmp_free(struct qmp *qmp);
DEFINE_TRIVIAL_CLEANUP(struct qmp *, qmp_free)

/* Reads the greeting and leaves negotiation mode. */
int qmp_handshake(struct qmp *qmp, uint64_t deadline);

/* Executes @command and waits for its answer. Takes @arguments, which may be NULL.
 * -EREMOTEIO when QEMU answers with an error: qmp_error() then has its words. */
int qmp_execute(struct qmp *qmp, const char *command, json_object *arguments, uint64_t deadline);

/* As qmp_execute(), for a command that answers with something: @ret is for the caller to put. */
int qmp_query(struct qmp *qmp, const char *command, uint64_t deadline, json_object **ret);

/* What QEMU said to the last command that failed; never NULL, valid until the next one. */
const char *qmp_error(const struct qmp *qmp);

/* Waits for the guest to let go of the device with @id (event DEVICE_DELETED), also when that came
 * while something else was waited for. */
int qmp_wait_deleted(struct qmp *qmp, const char *id, uint64_t deadline);

/* Waits for an event of this name, also when it came while something else was waited for. */
int qmp_wait_event(struct qmp *qmp, const char *name, uint64_t deadline);
