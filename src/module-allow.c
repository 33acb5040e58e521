/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-allow.h"

#include <errno.h>
#include <stdarg.h>

#include "glob-match.h"
#include "hardened.h"
#include "module-asks.h"
#include "module-render.h"
#include "modules.h"
#include "string-list.h"
#include "suggest.h"

struct Judge {
	const struct ModuleQuestion *question;
	struct ModuleVerdict *verdicts;
	struct Vector *notes;
	int error; /* the first */
};

/* --- names --- */

static const struct {
	const char *name, *text; /* of which the particulars are the end */
} reasons[_MODULE_REASON_MAX] = {
	{"denied", ""},
	{"built-in", "part of the kernel"},
	{"listed", "modules: allow has"},
	{"outside", "no driver, and the policy is not strict"},
	{"rule", "driver of the rule"},
	{"device", "for"},
	{"ids", "by ids alone, as no module is called"},
	{"hardened", "driver of hardened devices:"},
	{"needed", "needed by"},
	{"soft", "soft dependency of"},
	{"behind", "drives what is behind"},
};

const char *module_reason_to_string(enum ModuleReason reason)
{
	return reasons[reason].name;
}

char *module_verdict_why(const struct ModuleVerdict *verdict)
{
	char *text;

	if (verdict->reason == MODULE_DENIED)
		return strdup(verdict->why ? verdict->why : "nothing in the policy needs it");
	if (!verdict->why)
		return strdup(reasons[verdict->reason].text);
	return asprintf(&text, "%s %s", reasons[verdict->reason].text, verdict->why) < 0 ? NULL
											 : text;
}

const char *module_verdict_word(const struct ModuleVerdict *verdict)
{
	if (verdict->reason == MODULE_BUILTIN)
		return "built-in";
	return module_is_allowed(verdict) ? "allowed" : "denied";
}

/* --- what is a driver --- */

bool module_is_driver(const struct Module *module)
{
	static const char *const outside[] = {"arch/",	   "block/", "crypto/",	  "fs/",
					      "io_uring/", "ipc/",   "kernel/",	  "lib/",
					      "mm/",	   "net/",   "security/", "virt/"};
	const char *rest = startswith(module->path, "kernel/");

	if (!rest || module->is_for_devices)
		return true; /* updates, extra, dkms: built elsewhere */
	for (size_t i = 0; i < ELEMENTSOF(outside); i++)
		if (startswith(rest, outside[i]))
			/* uncore counters, which a cpu's modalias loads, and platform devices: they
			 * read config space, MMIO and ports */
			return startswith(rest, "arch/") &&
			       (strstr(rest, "/events/") || strstr(rest, "/platform/"));
	return true;
}

/* --- verdicts --- */

/* @format is NULL where the reason says all. */
_printf_(4, 5) static void give(struct Judge *judge, const struct Module *module,
				enum ModuleReason reason, const char *format, ...)
{
	struct ModuleVerdict *verdict =
		&judge->verdicts[module_number(judge->question->list, module)];
	va_list ap;

	/* the first reason stands; why it is denied stands until there is one */
	if (judge->error < 0 ||
	    (verdict->reason == MODULE_DENIED && reason == MODULE_DENIED && verdict->why) ||
	    verdict->reason != MODULE_DENIED || !module_name_is_plain(module->name))
		return;
	free(verdict->why);
	verdict->why = NULL;
	verdict->reason = reason;
	if (!format)
		return;
	va_start(ap, format);
	if (vasprintf(&verdict->why, format, ap) < 0) {
		verdict->why = NULL;
		judge->error = -ENOMEM;
	}
	va_end(ap);
}

/* Where adding to the notes came to @r. */
static void noted(struct Judge *judge, int r)
{
	if (r < 0)
		judge->error = r;
}

#define note(judge, ...) noted(judge, strings_add((judge)->notes, __VA_ARGS__))

static const struct Module *find(const struct Judge *judge, const char *name)
{
	return module_list_find(judge->question->list, name);
}

static bool needs(const struct Judge *judge, const struct Module *module,
		  const struct Module *other)
{
	for (size_t i = 0; i < module->n_needs; i++)
		if (&judge->question->list->modules[module->needs[i]] == other)
			return true;
	return false;
}

/* Returns a list that is ended by NULL and never NULL itself but after an error. */
static char **resolve(struct Judge *judge, const char *alias)
{
	char **names = NULL;
	int r = judge->question->resolve(alias, &names, judge->question->userdata);

	if (r < 0) {
		if (judge->error == 0)
			judge->error = r;
		return NULL;
	}
	return names;
}

/* --- the policy's list --- */

bool module_name_fits(const char *glob, const char *name)
{
	_cleanup_free_ char *normal = strdup(glob);

	if (!normal)
		return false;
	module_name_normalize(normal);
	return glob_match(normal, name);
}

static void judge_listed(struct Judge *judge, const struct Module *module)
{
	const struct ModulePolicy *policy = &judge->question->policy->modules;
	const struct Place *places = policy->places.data;

	for (size_t i = 0; i < policy->allow.n; i++) {
		const char *glob = string_at(&policy->allow, i);

		if (!module_name_fits(glob, module->name))
			continue;
		give(judge, module, MODULE_LISTED, "\"%s\" at %s:%u", glob, places[i].file,
		     places[i].line);
		return;
	}
}

static void judge_module(struct Judge *judge, const struct Module *module)
{
	if (module->is_builtin) {
		give(judge, module, MODULE_BUILTIN, NULL);
		return;
	}
	judge_listed(judge, module);
}

/* --- drivers --- */

/* Gives @named, and of @names those that need it, where it is none of them itself. */
static void give_named(struct Judge *judge, const struct Module *named, char *const *names,
		       enum ModuleReason reason, const char *why)
{
	bool is_known = false;

	for (char *const *name = names; name && *name; name++)
		is_known = is_known || streq(*name, named->name);
	for (char *const *name = names; !is_known && name && *name; name++) {
		const struct Module *module = find(judge, *name);

		if (module && needs(judge, module, named))
			give(judge, module, reason, "%s", why);
	}
	give(judge, named, reason, "%s", why);
}

/* Gives all of @names. @driver is that which none of them is called by, or NULL. Returns whether
 * there was any. */
static bool give_fitting(struct Judge *judge, const char *driver, char *const *names,
			 enum ModuleReason reason, const char *why)
{
	bool any = false;

	for (char *const *name = names; name && *name; name++) {
		const struct Module *module = find(judge, *name);

		any = any || module;
		if (module && driver)
			give(judge, module, MODULE_IDS, "%s: %s", driver, why);
		else if (module)
			give(judge, module, reason, "%s", why);
	}
	return any;
}

/* Gives what a device with @modalias, NULL if that is unknown, needs for the driver called @driver.
 * Nothing tells which module has a driver. It is the one of that name; where the device does not
 * know that one, it is a library that the module with the driver needs (xhci_hcd, which is in
 * xhci_pci). Where there is none of that name, it is among those that the device knows, or built
 * in: all of them have to be allowed for it, and the owner is told. Returns whether there was any.
 */
static bool give_driver(struct Judge *judge, const char *driver, const char *modalias,
			enum ModuleReason reason, const char *why)
{
	const struct Module *named = driver ? find(judge, driver) : NULL;
	char **names = modalias ? resolve(judge, modalias) : NULL;
	bool any = named;

	if (named)
		give_named(judge, named, names, reason, why);
	else
		any = give_fitting(judge, driver, names, reason, why);
	modules_free(names);
	return any;
}

/* Whether a device is there that tells what the rule's devices need. */
static bool has_device(const struct Judge *judge, const struct Rule *rule)
{
	for (size_t i = 0; i < judge->question->n_devices; i++)
		if (judge->question->decisions[i].rule == rule)
			return true;
	return false;
}

/* The driver may be in a module that is called otherwise, where it goes by what the rule does not
 * tell. */
static void note_unknown(struct Judge *judge, const struct Rule *rule, const char *name,
			 const char *modalias)
{
	const struct Module *named = find(judge, rule->driver);
	char **names = modalias ? resolve(judge, modalias) : NULL;
	bool is_known = !modalias;

	for (char **n = names; named && n && *n; n++) {
		const struct Module *module = find(judge, *n);

		is_known = is_known || module == named || (module && needs(judge, module, named));
	}
	modules_free(names);
	if (named && !named->is_builtin && !is_known)
		note(judge,
		     "%s: the module %s does not know the ids; if its driver is in another "
		     "module, that one has to be in modules: allow",
		     name, named->name);
}

/* "a, b": those of @names that can be loaded, a new string; NULL where there is none. */
static char *loadable(struct Judge *judge, char *const *names)
{
	_cleanup_vector_ struct Vector found = {0};
	char *text = NULL;
	int r = 0;

	for (char *const *name = names; r == 0 && name && *name; name++) {
		const struct Module *module = find(judge, *name);

		if (module && !module->is_builtin)
			r = vector_add(&found, &module->name, sizeof(char *));
	}
	if (r == 0 && found.n > 0)
		text = join_words(found.data, found.n);
	if (r < 0 || (found.n > 0 && !text))
		judge->error = -ENOMEM;
	return text;
}

/* Its owner sees which modules came in for a driver that may be in none of them. */
static void note_by_ids(struct Judge *judge, const struct Rule *rule, const char *name,
			const char *modalias)
{
	char **names = modalias ? resolve(judge, modalias) : NULL;
	_cleanup_free_ char *found = loadable(judge, names);

	if (found)
		note(judge,
		     "%s: no module is called like the driver %s; by their ids alone these are "
		     "allowed for it: %s",
		     name, rule->driver, found);
	modules_free(names);
}

static void judge_rule(struct Judge *judge, const struct Rule *rule)
{
	_cleanup_free_ char *name = rule_name(rule), *modalias = rule_modalias(rule, true);

	if (!name) {
		judge->error = -ENOMEM;
		return;
	}
	if (rule->action != ACTION_ALLOW)
		return;
	if (!rule->driver && !modalias) {
		if (!has_device(judge, rule))
			note(judge,
			     "%s names no driver: which modules its devices need is not "
			     "known without one of them",
			     name);
		return;
	}
	if (!give_driver(judge, rule->driver, modalias, MODULE_RULE, name) && rule->driver)
		note(judge, "%s: no module has the name of the driver %s, nor knows its ids", name,
		     rule->driver);
	else if (rule->driver && !find(judge, rule->driver))
		note_by_ids(judge, rule, name, modalias);
	else if (rule->driver && !has_device(judge, rule))
		note_unknown(judge, rule, name, modalias);
}

/* --- devices --- */

/* Which drivers a device may have: false for none, else the only one, or NULL for any. */
static bool admitted_driver(const struct Device *device, const struct Decision *decision,
			    const char **ret)
{
	*ret = decision->driver;
	if (decision->action == ACTION_ALLOW)
		return true;
	if (decision->action != ACTION_KERNEL)
		return false;
	*ret = NULL;
	return bus_info[device->bus].native || hardened_find(device, ret);
}

/* The list of hardened devices has bridges by their class, whose other ids are the host's choice:
 * those of a NIC bring no module of that in. Its drivers of pci are called as their modules, or
 * built in. */
static bool tells_by_ids(const struct Device *device, const struct Decision *decision)
{
	return device->bus != BUS_PCI || decision->action != ACTION_KERNEL;
}

static void judge_alias(struct Judge *judge, const char *modalias, bool admitted,
			const char *driver, const char *why)
{
	char **names;

	if (admitted) {
		(void)give_driver(judge, driver, modalias, MODULE_DEVICE, why);
		return;
	}
	names = resolve(judge, modalias);
	for (char **name = names; name && *name; name++) {
		const struct Module *module = find(judge, *name);

		if (module && !module->is_builtin)
			give(judge, module, MODULE_DENIED, "fits %s", why);
	}
	modules_free(names);
}

/* The interfaces of a usb device are what drivers go by; which number each has they rarely ask. */
static void judge_interfaces(struct Judge *judge, const struct Device *device, bool admitted,
			     const char *why)
{
	for (size_t i = 0; i < device->n_interfaces; i++) {
		_cleanup_free_ char *modalias = usb_interface_modalias(device, i);

		if (!modalias) {
			judge->error = -ENOMEM;
			return;
		}
		judge_alias(judge, modalias, admitted, NULL, why);
	}
}

static void judge_device(struct Judge *judge, const struct Device *device,
			 const struct Decision *decision)
{
	_cleanup_free_ char *name = device_name(device),
			    *source = decision_source(decision, device->bus), *why = NULL;
	const char *driver = NULL;
	bool admitted = admitted_driver(device, decision, &driver);

	if (!device->modalias)
		return;
	if (!name || !source ||
	    asprintf(&why, "%s, %s by %s", name,
		     decision->action != ACTION_KERNEL ? (admitted ? "allowed" : "denied")
		     : admitted			       ? "left to the kernel"
						       : "not hardened and left to the kernel",
		     source) < 0) {
		why = NULL;
		judge->error = -ENOMEM;
		return;
	}
	if (device->bus == BUS_USB)
		judge_interfaces(judge, device, admitted, why);
	if (!admitted || tells_by_ids(device, decision) || (driver && find(judge, driver)))
		judge_alias(judge, device->modalias, admitted, driver, why);
}

/* --- the hardened list --- */

static void judge_entry(struct Judge *judge, const struct HardenedEntry *entry)
{
	_cleanup_free_ char *modalias = NULL;
	int n = 0;

	if (!entry->driver || !policy_leaves_to_kernel(judge->question->policy, entry->bus))
		return;
	if (entry->bus == BUS_PCI && entry->class_mask == 0)
		n = asprintf(&modalias, "pci:v%08Xd%08Xsv00000000sd00000000bc00sc00i00",
			     entry->vendor, entry->device);
	else if (entry->bus == BUS_VIRTIO)
		n = asprintf(&modalias, "virtio:d%08Xv%08X", entry->device, entry->vendor);
	if (n < 0) {
		modalias = NULL;
		judge->error = -ENOMEM;
		return;
	}
	(void)give_driver(judge, entry->driver, modalias, MODULE_HARDENED, entry->driver);
}

/* --- dependencies --- */

static void give_soft(struct Judge *judge, const struct Module *module, const char *name)
{
	const struct Module *exact = find(judge, name);
	char **names;

	if (exact) {
		give(judge, exact, MODULE_SOFT, "%s", module->name);
		return;
	}
	names = resolve(judge, name);
	for (char **n = names; n && *n; n++) {
		const struct Module *other = find(judge, *n);

		if (other)
			give(judge, other, MODULE_SOFT, "%s", module->name);
	}
	modules_free(names);
}

static void follow_soft(struct Judge *judge, const struct Module *module)
{
	const struct ModprobeLine *line =
		modprobe_config_softdep(judge->question->config, module->name);
	const char *pos = line ? line->text : "", *word;
	bool after;
	size_t len;

	while ((word = softdep_next(&pos, &len, &after))) {
		_cleanup_free_ char *name = strndup(word, len);

		if (name)
			give_soft(judge, module, name);
		else
			judge->error = -ENOMEM;
	}
}

/* Buses without a policy of their own: a device on one is there because the one below it was
 * allowed, whose owner wants a disk or a keyboard, not a bus. Of the drivers that a host could have
 * it bind there only the plain one comes with it: not sr_mod, st, ses, or a hid_*. */
static const struct {
	const char *below, *driver;
} behind[] = {
	{"scsi_mod", "sd_mod"}, /* that which all need; where it is built in, the usual ones: */
	{"virtio_scsi", "sd_mod"},
	{"usb_storage", "sd_mod"},
	{"usbhid", "hid_generic"},
};

static void give_behind(struct Judge *judge, const struct Module *module)
{
	switch (judge->verdicts[module_number(judge->question->list, module)].reason) {
	case MODULE_LISTED:
	case MODULE_RULE:
	case MODULE_DEVICE:
	case MODULE_IDS:
	case MODULE_HARDENED:
		break;
	default:
		/* nobody meant the bus */
		return;
	}
	for (size_t i = 0; i < ELEMENTSOF(behind); i++) {
		const struct Module *below = find(judge, behind[i].below),
				    *driver = find(judge, behind[i].driver);

		if (below && driver && (below == module || needs(judge, module, below)))
			give(judge, driver, MODULE_BEHIND, "%s", module->name);
	}
}

/* Each that is allowed once, until no more are: what a dependency asks for may come before it. */
static void follow(struct Judge *judge)
{
	const struct ModuleList *list = judge->question->list;
	_cleanup_free_ bool *done = calloc(list->n + 1, sizeof(*done));
	bool any = true;

	if (!done)
		judge->error = -ENOMEM;
	while (any && judge->error == 0) {
		any = false;
		for (size_t i = 0; i < list->n; i++) {
			const struct Module *module = &list->modules[i];

			if (done[i] || !module_is_allowed(&judge->verdicts[i]))
				continue;
			done[i] = any = true;
			for (size_t k = 0; k < module->n_needs; k++)
				give(judge, &list->modules[module->needs[k]], MODULE_NEEDED, "%s",
				     module->name);
			follow_soft(judge, module);
			give_behind(judge, module);
		}
	}
}

/* --- the rest --- */

/* What it needs that is a driver and denied, or NULL. */
static const struct Module *denied_need(const struct Judge *judge, const struct Module *module)
{
	const struct ModuleList *list = judge->question->list;

	for (size_t i = 0; i < module->n_needs; i++) {
		uint32_t number = module->needs[i];

		if (judge->verdicts[number].reason == MODULE_DENIED &&
		    module_is_driver(&list->modules[number]))
			return &list->modules[number];
	}
	return NULL;
}

/* What is no driver is allowed, but brings none with it: vboxsf, a file system, needs vboxguest,
 * which the host could have loaded by plugging its device if it was allowed for that. */
static void judge_outside(struct Judge *judge)
{
	const struct ModuleList *list = judge->question->list;

	for (size_t i = 0; i < list->n; i++) {
		const struct Module *module = &list->modules[i], *denied;

		if (judge->verdicts[i].reason != MODULE_DENIED || module_is_driver(module))
			continue;
		denied = denied_need(judge, module);
		if (denied)
			give(judge, module, MODULE_DENIED, "needs %s, which is denied",
			     denied->name);
		else
			give(judge, module, MODULE_OUTSIDE, NULL);
	}
}

int modules_judge(const struct ModuleQuestion *question, struct ModuleVerdict **ret,
		  struct Vector *notes)
{
	struct Judge judge = {.question = question, .notes = notes};

	judge.verdicts = calloc(question->list->n + 1, sizeof(*judge.verdicts));
	if (!judge.verdicts)
		return -ENOMEM;
	for (size_t i = 0; i < question->list->n; i++)
		judge_module(&judge, &question->list->modules[i]);
	for (size_t i = 0; i < policy_n_rules(question->policy); i++)
		judge_rule(&judge, policy_rule(question->policy, i));
	for (size_t i = 0; i < hardened_table_size; i++)
		judge_entry(&judge, &hardened_table[i]);
	for (size_t i = 0; i < question->n_devices; i++)
		judge_device(&judge, question->devices[i], &question->decisions[i]);
	follow(&judge);
	if (!question->policy->modules.strict)
		judge_outside(&judge);
	if (judge.error < 0) {
		module_verdicts_free(judge.verdicts, question->list->n);
		return judge.error;
	}
	*ret = judge.verdicts;
	return 0;
}

void module_verdicts_free(struct ModuleVerdict *verdicts, size_t n)
{
	for (size_t i = 0; verdicts && i < n; i++)
		free(verdicts[i].why);
	free(verdicts);
}
