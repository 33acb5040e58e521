/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <umockdev.h>

#include "util.h"

/* A mocked /sys of umockdev's, and programs that run in it. It stores writes and has no kernel
 * behind it: what a kernel would answer is what the guest tests are for. */
struct Testbed {
	UMockdevTestbed *umockdev;
	char *policy;	   /* a file that programs can be given, see testbed_policy() */
	char *config;	   /* the same, see testbed_config() */
	char *runtime_dir; /* theirs, in the place of /run/tdx-auth */
	int log; /* what the program that testbed_start() started writes to standard error */
};

int testbed_setup(void **state);
int testbed_teardown(void **state);

/* Adds a pci device that is not authorized and lets no event out. Returns its sysfs path, which
 * the caller frees. */
char *testbed_add_pci(struct Testbed *bed, const char *name, unsigned vendor, unsigned device);
/* The same behind another device. */
char *testbed_add_pci_behind(struct Testbed *bed, const char *parent, const char *name,
			     unsigned vendor, unsigned device);

/* A usb device as usbcore makes it: authorized, with the strings it calls itself. */
char *testbed_add_usb(struct Testbed *bed, const char *name, const char *product);

/* The same with a driver, and with an interface 03:01:0N for each digit N of @protocols. */
char *testbed_add_usb_in_use(struct Testbed *bed, const char *name, const char *product,
			     const char *protocols);

char *testbed_add_platform(struct Testbed *bed, const char *name);

/* Makes the kernel say which mode its device authorization is in. */
void testbed_mode(struct Testbed *bed, const char *mode);
/* A file, and a link, anywhere below the testbed's /sys, /proc and /dev, with the directories on
 * the way. */
void testbed_add_file(struct Testbed *bed, const char *path, const char *text);
void testbed_add_link(struct Testbed *bed, const char *path, const char *target);
/* Makes reads of an attribute fail, with EISDIR. */
void testbed_make_unreadable(struct Testbed *bed, const char *syspath, const char *attr);
/* Undoes that: the attribute reads as @value. */
void testbed_make_readable(struct Testbed *bed, const char *syspath, const char *attr,
			   const char *value);
/* Makes who reads an attribute wait. Returns a descriptor: what is written to it is read there once
 * it is closed, by the caller. */
int testbed_make_slow(struct Testbed *bed, const char *syspath, const char *attr);
/* Puts the device out of its path's way, still alive, as nobody removed it. */
void testbed_displace(struct Testbed *bed, const char *syspath);

void testbed_uevent(struct Testbed *bed, const char *syspath, const char *action);

/* Has the programs receive these bytes as a message of the kernel's. */
void testbed_send(struct Testbed *bed, const void *message, size_t size);

/* Has the device go, and the daemon @pid learn of it when it is gone: umockdev says nothing of what
 * is gone already, so the daemon is stopped meanwhile. */
void testbed_unplug(struct Testbed *bed, pid_t pid, const char *syspath);

/* Writes @text as the policy of the programs that testbed_run() and testbed_start() start. */
void testbed_policy(struct Testbed *bed, const char *text);

/* The same for the configuration of the daemon, which has no audit records without this. */
void testbed_config(struct Testbed *bed, const char *text);

/* The value of an attribute, without the last newline; the caller frees it. */
char *testbed_attr(struct Testbed *bed, const char *syspath, const char *attr);

/* Waits until the attribute has the value; fails the test after ten seconds. */
void testbed_wait_attr(struct Testbed *bed, const char *syspath, const char *attr,
		       const char *value);

/* Runs a main function in a process of its own and returns its exit status, with what it printed
 * in *ret_out and *ret_err, which the caller frees; either may be NULL. The words end with NULL. */
int testbed_run(int (*program)(int, char **), char **ret_out, char **ret_err, ...);

/* Starts a program under the policy of testbed_policy() and waits for its READY=1. */
pid_t testbed_start(struct Testbed *bed, int (*program)(int, char **));
/* The same without waiting. */
pid_t testbed_start_at_once(struct Testbed *bed, int (*program)(int, char **));
/* Starts another program, whose words end with NULL. What it writes to standard error is added to
 * the log. */
pid_t testbed_spawn(struct Testbed *bed, int (*program)(int, char **), ...);
/* What it logged up to now; the caller frees it. */
char *testbed_log(struct Testbed *bed);
/* Waits until it has logged @text; fails the test after ten seconds. */
void testbed_wait_log(struct Testbed *bed, const char *text);
/* Fails the test where it has logged @text so far. */
void testbed_expect_not_logged(struct Testbed *bed, const char *text);
/* Sends @signal and returns the exit status, or minus the signal that ended it. */
int testbed_stop(pid_t pid, int signal);
