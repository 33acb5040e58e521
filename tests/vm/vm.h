/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "util.h"

/* A guest, and the host that plays with it. Where the kernels and images are: $TDX_AUTH_LAB, the
 * directory that image.sh lays out. Serial logs go to $TDX_AUTH_LOGS.
 *
 * Everything returns a negative errno on failure: -ETIMEDOUT at a deadline, -ECONNRESET when the
 * guest or QEMU ended. vm_explain() says more. No guest outlives its harness. */
struct vm;

enum vm_init {
	/* The agent is init: no systemd, no udev. Up in a second or two. */
	VM_INIT_AGENT,
	/* systemd with what the daemon needs and little else; the agent is a service. */
	VM_INIT_SYSTEMD,
	/* The agent in an initramfs of busybox and modules, no root disk looked for. */
	VM_INIT_INITRAMFS,
	/* As its distribution boots: .kernel names a guest of debian-image.sh, which has an initrd
	 * and a disk of its own. Comes up in half a minute; the agent is there before the rest. */
	VM_INIT_OWN,
};

enum vm_channel {
	VM_CHANNEL_VIRTIO,
	/* An ISA serial port: for guests that get no virtio console. */
	VM_CHANNEL_SERIAL,
};

struct vm_options {
	const char *kernel;  /* a variant of kernel.sh, or a guest of debian-image.sh */
	const char *cmdline; /* added at the end; NULL: nothing */
	enum vm_init init;
	enum vm_channel channel;
	const char *const *devices; /* -device arguments, NULL-terminated; NULL: none */
	char *const *arguments;	    /* any of QEMU's, NULL-terminated, after all others; or NULL */
	const char *machine;	    /* goes after the machine's name, "cxl=on"; NULL: nothing */
	const char *memory;	    /* as for -m; NULL: 512 MiB, of VM_INIT_OWN 1 GiB */
	const char *initrd;	    /* in the place of its own, of VM_INIT_OWN; NULL */
	const char *acpi_table;	    /* a file with one more ACPI table, compiled; NULL: none */
	const char *disk;	    /* root's, as "file" of -drive; NULL: the lab's image */
	bool keeps;		    /* what the guest writes stays in .disk */
	bool firmware;		    /* UEFI starts what is on .kernel's disk "esp" */
	bool microvm;		    /* no PCI: virtio-mmio, no slots for hot plug */
	unsigned int cpus;	    /* 0: one */
	bool trace;		    /* trace.h; slow */
	const char *icount;   /* as for -icount: time follows instructions; NULL: it does not */
	bool no_serial;	      /* no ISA serial port: the virtio console is all there is */
	unsigned int boot_ms; /* 0: VM_BOOT_MS, of VM_INIT_OWN VM_BOOT_OWN_MS */
};

#define VM_BOOT_MS 120000U
#define VM_BOOT_OWN_MS 600000U
#define VM_COMMAND_MS 120000U

/* Empty slots for hot plug: buses rp1 to rp8. Block backends for disks: null1 to null4. */
#define VM_SLOTS 8
#define VM_DISKS 4

/* Starts QEMU and waits for the agent. *@ret is set also when the guest does not come up, for
 * vm_explain(); it is NULL only when there was nothing to start. */
int vm_start(const struct vm_options *options, struct vm **ret);

/* Ends QEMU and waits for it. */
void vm_free(struct vm *vm);
DEFINE_TRIVIAL_CLEANUP(struct vm *, vm_free)

/* To @out: what QEMU last refused, whether it still runs, the end of the serial log. */
void vm_explain(struct vm *vm, FILE *out);

const char *vm_log_path(const struct vm *vm);

/* The trace of a guest with vm_options.trace. */
const char *vm_trace_path(const struct vm *vm);

/* What QEMU said to the last request that it refused, "" if it refused none. */
const char *vm_refusal(const struct vm *vm);

/* As guest_run() with VM_COMMAND_MS; @ret may be NULL. */
int vm_run(struct vm *vm, const char *command, char **ret);
int vm_run_within(struct vm *vm, unsigned int timeout_ms, const char *command, char **ret);
_printf_(3, 4) int vm_runf(struct vm *vm, char **ret, const char *format, ...);

/* Runs @condition in the guest until it exits with 0; -ETIMEDOUT after @timeout_ms. */
int vm_wait_for(struct vm *vm, const char *condition, unsigned int timeout_ms);

/* Hot plug. @device is as for -device with an id: "e1000e,id=x,bus=rp1". */
int vm_device_add(struct vm *vm, const char *device);

/* Asks the guest to let go of the device and waits until it did. */
int vm_device_del(struct vm *vm, const char *id);

/* Suspends the guest to RAM and wakes it up, once it sleeps and @msec milliseconds later. Returns
 * what "echo mem > /sys/power/state" did, like vm_run(). */
int vm_suspend(struct vm *vm, int msec);

/* Runs @command, which is to end the guest, as a reboot does too, and waits until QEMU has ended.
 * -ETIMEDOUT: it still runs. */
int vm_end(struct vm *vm, const char *command);

/* A line for QEMU's own monitor, for what its machine protocol has no words for. What the monitor
 * answers is lost, complaints too. */
int vm_monitor(struct vm *vm, const char *line);

/* Sets a truth value of a device that has an id. */
int vm_device_set(struct vm *vm, const char *id, const char *property, bool value);

/* Milliseconds from vm_start() to the agent's first word. */
unsigned int vm_boot_time(const struct vm *vm);
