/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>

#include "authctl.h"
#include "client.h"
#include "first-drivers.h"
#include "initrd.h"
#include "inventory.h"
#include "log.h"
#include "module-rendered.h"
#include "output.h"
#include "phase.h"
#include "policy-files.h"
#include "protection.h"
#include "view.h"

#define POLICY_OK "ok"

struct Tally {
	const char *name;
	uint64_t value;
};

/* How far a refusal holds on a bus that has devices. */
struct BusState {
	const char *bus, *backend, *protection, *meaning;
};

/* What is known of the machine. The strings are static, or those of `answer`. */
struct Status {
	sd_bus_message *answer; /* the daemon's; NULL where it was not asked */
	const char *daemon;	/* a word of tdx-authctl(1) */
	const char *version;	/* NULL from here on: the daemon did not say */
	const char *kernel_mode;
	const char *policy_mode; /* NULL: unknown */
	const char *policy;
	const char *impairment, *configuration; /* what is wrong with it, for people */
	bool has_numbers;			/* those of the daemon */
	int frozen, sealed;
	uint32_t rules, missing_rules;
	uint64_t generation, loaded_usec;
	struct Tally *counts;
	size_t n_counts;
	struct BusState *buses;
	size_t n_buses;
	enum InitrdPolicy initrd;
	bool has_rendered; /* the policy could be read: */
	struct Rendered rendered;
	bool has_first; /* somebody noted: */
	struct FirstDrivers first;
};

static void status_done(struct Status *status)
{
	(void)sd_bus_message_unref(status->answer);
	free(status->counts);
	free(status->buses);
	rendered_done(&status->rendered);
	first_drivers_done(&status->first);
}

/* --- what the daemon says --- */

static int read_counts(sd_bus_message *m, struct Status *status)
{
	struct Tally count;
	int r = sd_bus_message_enter_container(m, 'a', "{st}");

	while (r >= 0 && (r = sd_bus_message_read(m, "{st}", &count.name, &count.value)) > 0) {
		struct Tally *longer =
			reallocarray(status->counts, status->n_counts + 1, sizeof(count));

		if (!longer)
			return -ENOMEM;
		status->counts = longer;
		status->counts[status->n_counts++] = count;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_bus(struct Status *status, const struct BusState *bus)
{
	struct BusState *longer = reallocarray(status->buses, status->n_buses + 1, sizeof(*bus));

	if (!longer)
		return -ENOMEM;
	status->buses = longer;
	status->buses[status->n_buses++] = *bus;
	return 0;
}

static int read_backends(sd_bus_message *m, struct Status *status)
{
	struct BusState bus;
	int r = sd_bus_message_enter_container(m, 'a', "(ssss)");

	while (r >= 0 && (r = sd_bus_message_read(m, "(ssss)", &bus.bus, &bus.backend,
						  &bus.protection, &bus.meaning)) > 0)
		r = add_bus(status, &bus);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* A property of another type than it has today is passed over, as is one that is unknown. */
static int on_property(sd_bus_message *m, const char *name, const char *type, void *userdata)
{
	struct Status *s = userdata;
	const struct {
		const char *name, *type;
		void *value;
	} simple[] = {
		{"Version", "s", &s->version},
		{"KernelMode", "s", &s->kernel_mode},
		{"PolicyMode", "s", &s->policy_mode},
		{"PolicyState", "s", &s->policy},
		{"Impairment", "s", &s->impairment},
		{"Configuration", "s", &s->configuration},
		{"Frozen", "b", &s->frozen},
		{"Sealed", "b", &s->sealed},
		{"PolicyRules", "u", &s->rules},
		{"PolicyGeneration", "t", &s->generation},
		{"PolicyLoadedUSec", "t", &s->loaded_usec},
		{"MissingRules", "u", &s->missing_rules},
	};

	for (size_t i = 0; i < ELEMENTSOF(simple); i++)
		if (streq(name, simple[i].name) && streq(type, simple[i].type))
			return sd_bus_message_read_basic(m, type[0], simple[i].value);
	if (streq(name, "Counts") && streq(type, "a{st}"))
		return read_counts(m, s);
	if (streq(name, "Backends") && streq(type, "a(ssss)"))
		return read_backends(m, s);
	return 0;
}

/* Returns 0, -ESRCH where no daemon runs, or another negative errno after the log told why. */
static int ask_daemon(struct Status *status)
{
	_cleanup_client_ struct Client *client = NULL;
	int r = client_open(&client);

	if (r >= 0)
		r = client_read_manager(client, &status->answer);
	if (r < 0)
		return r;
	r = client_for_each_property(status->answer, on_property, status);
	if (r < 0)
		log_error("cannot make out the daemon's answer: %s", strerror(-r));
	return r;
}

/* --- what the machine says --- */

/* What holds the devices of a bus to a decision, which are all held alike, but for some that have
 * nothing: firmware's own, say. */
static enum Backend backend_of(const struct View *view, enum Bus bus)
{
	for (size_t i = 0; i < view->inventory.n; i++) {
		const struct Device *device = view->inventory.devices[i];

		if (device->bus == bus && device_backend(device) != BACKEND_NONE)
			return device_backend(device);
	}
	return BACKEND_NONE;
}

static int look_at_buses(const struct View *view, struct Status *status)
{
	int r = 0;

	for (enum Bus bus = 0; bus < _BUS_MAX && r >= 0; bus++) {
		enum Protection protection = view_protection(view, bus);

		if (view_has_bus(view, bus))
			r = add_bus(status,
				    &(struct BusState){
					    .bus = bus_to_string(bus),
					    .backend = backend_to_string(backend_of(view, bus)),
					    .protection = protection_to_string(protection),
					    .meaning = protection_explain(protection, bus)});
	}
	return r;
}

/* What was noted in this boot before a daemon ran, which has no need to tell of it. */
static void look_at_boot(struct Status *status)
{
	int r = first_drivers_read(&status->first);

	status->has_first = r >= 0;
	if (r < 0 && r != -ENOENT)
		log_warning("cannot read which drivers had devices before the first decision: %s",
			    strerror(-r));
	status->initrd = initrd_compare();
}

/* What is in modprobe.d is of the drop-ins, or is not. */
static int look_at_modules(struct Status *status)
{
	_cleanup_policy_ struct Policy *policy = NULL;

	if (policy_load(NULL, &policy) < 0)
		return 0; /* the log told why */
	status->has_rendered = true;
	return rendered_compare(policy, &status->rendered);
}

/* Returns 0 or a negative errno. */
static int look_directly(struct Status *status)
{
	static const struct Needs none = {0};
	_cleanup_view_ struct View view = {.mode = kernel_mode()};
	struct Phase phase;
	int r = inventory_read(&none, &view.inventory);

	if (r < 0)
		return r;
	phase_read(&phase);
	status->frozen = phase.is_frozen;
	status->sealed = phase.is_sealed;
	status->kernel_mode = kernel_mode_to_string(view.mode);
	return look_at_buses(&view, status);
}

/* --- text --- */

#define FACT_MAX 256

static void add_fact(struct Table *table, const char *name, const char *value)
{
	table_add(table, name);
	table_add(table, value);
}

static const char *explain_mode(const char *mode)
{
	static const char *const phrases[][2] = {
		{"enforce", "enforce: it gives a refused device no driver"},
		{"audit", "audit: it logs what it would refuse, and refuses nothing"},
		{"off", "off: its device authorization is not in use"},
		{"none", "none: it has no device authorization"},
	};

	for (size_t i = 0; i < ELEMENTSOF(phrases); i++)
		if (streq_or_null(mode, phrases[i][0]))
			return phrases[i][1];
	return mode;
}

static const char *explain_policy(const char *state)
{
	static const char *const phrases[][2] = {
		{POLICY_OK, ""},
		{"refused-built-in", "REFUSED, the built-in one is in force; "},
		{"refused-former", "REFUSED, the former one is in force; "},
	};

	for (size_t i = 0; i < ELEMENTSOF(phrases); i++)
		if (streq_or_null(state, phrases[i][0]))
			return phrases[i][1];
	return "in a state that this tool does not know; ";
}

static const char *explain_policy_mode(const struct Status *status)
{
	return streq_or_null(status->policy_mode, policy_mode_to_string(POLICY_AUDIT))
		       ? "audit: what it would refuse is told, and NOTHING IS REFUSED; "
		       : "";
}

static void add_policy(struct Table *table, const struct Status *status)
{
	char when[TIME_TEXT_MAX], text[FACT_MAX];

	time_text(status->loaded_usec, when);
	(void)snprintf(text, sizeof(text),
		       "%s%s%" PRIu32 " rule%s, loaded %s, %" PRIu64 " load%s since the start",
		       explain_policy(status->policy), explain_policy_mode(status), status->rules,
		       status->rules == 1 ? "" : "s", when, status->generation,
		       status->generation == 1 ? "" : "s");
	add_fact(table, "Policy:", text);
	(void)snprintf(text, sizeof(text), "%" PRIu32 "%s", status->missing_rules,
		       status->missing_rules ? ", DEGRADED: see the journal" : "");
	add_fact(table, "Rules that need more devices:", text);
}

/* One by one: which there are only the daemon knows. */
static void add_counts(struct Table *table, const struct Status *status)
{
	_cleanup_free_ char *line = strdup("");

	for (size_t i = 0; i < status->n_counts; i++) {
		char *longer = NULL;

		if (!line || asprintf(&longer, "%s%s%s %" PRIu64, line, i ? ", " : "",
				      status->counts[i].name, status->counts[i].value) < 0)
			longer = NULL;
		free(line);
		line = longer;
	}
	if (!line)
		table->failed = true;
	add_fact(table, "Counts:", line);
}

/* Where the kernel decides from the first device on nobody notes any. */
static void add_boot(struct Table *table, const struct Status *status)
{
	_cleanup_free_ char *first = first_drivers_text(&status->first);

	add_fact(table, "Initrd:", initrd_policy_explain(status->initrd));
	if (status->has_first)
		add_fact(table,
			 "Before any decision:", isempty(first) ? "no device had a driver" : first);
}

static void add_modules(struct Table *table, const struct Status *status)
{
	_cleanup_free_ char *text = NULL;

	if (!status->has_rendered) {
		add_fact(table, "Modules:", "the policy cannot be read");
		return;
	}
	text = rendered_text(&status->rendered);
	table->failed = table->failed || !text;
	add_fact(table, "Modules:", text);
}

static const char *describe_daemon(const struct Status *status)
{
	if (streq(status->daemon, "running"))
		return "running";
	return streq(status->daemon, "none") ? "no daemon runs" : "UNREACHABLE";
}

static int print_facts(const struct Status *status)
{
	struct Table table = {.n_columns = 2};

	add_fact(&table, "Daemon:", describe_daemon(status));
	if (!isempty(status->impairment))
		add_fact(&table, "Impaired:", status->impairment);
	if (!isempty(status->configuration))
		add_fact(&table, "Misconfigured:", status->configuration);
	if (status->version)
		add_fact(&table, "Version:", status->version);
	add_fact(&table, "Kernel:", explain_mode(status->kernel_mode));
	add_fact(&table, "Frozen:", status->frozen ? "yes" : "no");
	add_fact(&table, "Sealed:", status->sealed ? "yes" : "no");
	add_modules(&table, status);
	add_boot(&table, status);
	if (status->has_numbers) {
		add_policy(&table, status);
		add_counts(&table, status);
	}
	return table_print(&table);
}

static int print_status(const struct Status *status)
{
	struct Table table = {.n_columns = 4};
	int r = print_facts(status);

	if (r < 0 || status->n_buses == 0)
		return r;
	(void)putchar('\n');
	table_add(&table, "BUS");
	table_add(&table, "BACKEND");
	table_add(&table, "PROTECTION");
	table_add(&table, "MEANING");
	for (size_t i = 0; i < status->n_buses; i++) {
		table_add(&table, status->buses[i].bus);
		table_add(&table, status->buses[i].backend);
		table_add(&table, status->buses[i].protection);
		table_add(&table, status->buses[i].meaning);
	}
	return table_print(&table);
}

/* --- JSON --- */

static void json_add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static struct json_object *policy_to_json(const struct Status *status)
{
	struct json_object *object = json_object_new_object();

	json_add_string(object, "mode", status->policy_mode);
	json_add_string(object, "state", status->policy);
	json_add_number(object, "rules", status->rules);
	json_add_number(object, "missing_rules", status->missing_rules);
	json_add_number(object, "generation", status->generation);
	json_add_number(object, "loaded_usec", status->loaded_usec);
	return object;
}

/* The keys are the daemon's words, and so are held to UTF-8. */
static struct json_object *counts_to_json(const struct Status *status)
{
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < status->n_counts; i++)
		json_add_number(object, status->counts[i].name, status->counts[i].value);
	return object;
}

static struct json_object *buses_to_json(const struct Status *status)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < status->n_buses; i++) {
		struct json_object *object = json_object_new_object();

		json_add_string(object, "bus", status->buses[i].bus);
		json_add_string(object, "backend", status->buses[i].backend);
		json_add_string(object, "protection", status->buses[i].protection);
		json_add_string(object, "meaning", status->buses[i].meaning);
		(void)json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *initrd_to_json(const struct Status *status)
{
	struct json_object *object = json_object_new_object();

	json_add_string(object, "policy", initrd_policy_to_string(status->initrd));
	return object;
}

static struct json_object *modules_to_json(const struct Status *status)
{
	const struct Rendered *rendered = &status->rendered;
	struct json_object *object = json_object_new_object();

	json_add_string(object, "rendered", rendered_state_to_string(rendered->state));
	json_add_string(object, "mode", module_mode_to_string(rendered->wanted));
	json_add_string(object, "rendered_mode",
			rendered->mode == _MODULES_INVALID ? NULL
							   : module_mode_to_string(rendered->mode));
	json_object_object_add(object, "rendered_kernels", strings_to_json(&rendered->kernels));
	json_add_string(object, "kernel", rendered->running);
	return object;
}

static struct json_object *first_to_json(const struct Status *status)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < status->first.list.n; i++) {
		const struct FirstDriver *item =
			(const struct FirstDriver *)status->first.list.data + i;
		struct json_object *object = json_object_new_object();

		json_add_string(object, "bus", bus_to_string(item->bus));
		json_add_string(object, "name", item->device);
		json_add_string(object, "driver", item->driver);
		(void)json_object_array_add(list, object);
	}
	return list;
}

static int print_status_json(const struct Status *status)
{
	struct json_object *root = json_object_new_object();

	json_add_string(root, "daemon", status->daemon);
	json_add_string(root, "version", status->version);
	json_add_string(root, "impairment",
			isempty(status->impairment) ? NULL : status->impairment);
	json_add_string(root, "configuration",
			isempty(status->configuration) ? NULL : status->configuration);
	json_add_string(root, "kernel_mode", status->kernel_mode);
	json_object_object_add(root, "frozen", json_object_new_boolean(status->frozen));
	json_object_object_add(root, "sealed", json_object_new_boolean(status->sealed));
	json_object_object_add(root, "policy", status->has_numbers ? policy_to_json(status) : NULL);
	json_object_object_add(root, "counts", status->has_numbers ? counts_to_json(status) : NULL);
	json_object_object_add(root, "buses", buses_to_json(status));
	json_object_object_add(root, "initrd", initrd_to_json(status));
	json_object_object_add(root, "modules",
			       status->has_rendered ? modules_to_json(status) : NULL);
	json_object_object_add(root, "first_drivers",
			       status->has_first ? first_to_json(status) : NULL);
	return json_print(root);
}

/* --- the verb --- */

static bool are_modules_well(const struct Status *status)
{
	const struct Rendered *rendered = &status->rendered;

	/* by an earlier version: it says nothing of this */
	return !status->has_rendered || rendered->state == RENDERED_CURRENT ||
	       (rendered->state == RENDERED_UNKNOWN && rendered->mode != _MODULES_INVALID);
}

static bool is_well(const struct Status *status)
{
	return status->has_numbers && are_modules_well(status) &&
	       streq_or_null(status->policy, POLICY_OK) && status->initrd != INITRD_REFUSED &&
	       status->missing_rules == 0 && isempty(status->impairment) &&
	       isempty(status->configuration);
}

int verb_status(const struct Options *options, char *const *args)
{
	_cleanup_(status_done) struct Status status = {0};
	int r = ask_daemon(&status);

	(void)args;
	status.has_numbers = r >= 0;
	status.daemon = r >= 0 ? "running" : r == -ESRCH ? "none" : "unreachable";
	if (r < 0)
		r = look_directly(&status);
	look_at_boot(&status);
	if (r >= 0)
		r = look_at_modules(&status);
	if (r >= 0)
		r = options->json ? print_status_json(&status) : print_status(&status);
	r = finish(r, "show the status");
	return r == EXIT_DONE && !is_well(&status) ? EXIT_FAILED : r;
}
