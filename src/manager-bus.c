/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager-bus.h"

#include <errno.h>
#include <limits.h>

#include "bus.h"
#include "escape.h"
#include "log.h"
#include "manager-explain.h"
#include "manager-hand.h"
#include "manager-reload.h"
#include "protection.h"
#include "record.h"

/* --- devices --- */

/* "BUS:NAME", unescaped, of a device that was decided over. */
static char *name_of(const struct Known *known)
{
	char *name;

	if (asprintf(&name, "%s:%s", bus_to_string(known->bus), strrchr(known->syspath, '/') + 1) <
	    0)
		return NULL;
	return name;
}

static char *safe_name_of(const struct Known *known)
{
	_cleanup_free_ char *name = name_of(known);

	return name ? escape_text(name) : NULL;
}

static const struct Known *find_known(const struct Manager *m, ino_t ino)
{
	const struct Known *known = registry_find_ino(&m->registry, ino);

	return known && known->is_decided ? known : NULL;
}

static enum Protection protection_of(const struct Device *device)
{
	enum Protection mode;

	if (device->gate != GATE_NONE)
		return PROTECTION_MODULES;
	if (device->authorized < 0)
		return PROTECTION_NONE;
	if (bus_info[device->bus].native)
		return PROTECTION_KERNEL;
	mode = kernel_mode();
	return mode == _PROTECTION_INVALID ? PROTECTION_KERNEL : mode; /* the vendor attribute */
}

static char *source_of(const struct Known *known)
{
	struct Decision decision = known_decision(known);
	_cleanup_free_ char *source = decision_source(&decision, known->bus);

	return source ? escape_text(source) : NULL;
}

static int fill(const struct Known *known, const struct Device *device, struct BusDevice *ret)
{
	struct Decision decision = known_decision(known);

	*ret = (struct BusDevice){
		.ino = known->ino,
		.name = safe_name_of(known),
		.syspath = escape_text(known->syspath),
		.modalias = escape_text(device->modalias),
		.driver = escape_text(device->driver),
		.authorized_driver = escape_text(device->authorized_driver),
		.rule = source_of(known),
		.bus = bus_to_string(device->bus),
		.authorized = device->authorized < 0 ? "-"
			      : device->authorized   ? "yes"
						     : "no",
		.authorized_by = origin_to_string(device->authorized_by),
		.verdict = action_to_string(known->action),
		.only_driver = decision.driver,
		.backend = backend_to_string(device_backend(device)),
		.protection = protection_to_string(protection_of(device)),
		.by_hand = known->is_by_hand,
		.hot = known->is_hot,
	};
	if (ret->name && ret->syspath && ret->modalias && ret->driver && ret->authorized_driver &&
	    ret->rule)
		return 0;
	bus_device_done(ret);
	return -ENOMEM;
}

static int read_device(void *userdata, ino_t ino, struct BusDevice *ret)
{
	const struct Manager *m = userdata;
	const struct Known *known = find_known(m, ino);
	_cleanup_device_ struct Device *device = NULL;
	_cleanup_close_ int dirfd = -1;
	int r = known ? manager_open(known, &dirfd, &device) : -ENODEV;

	return r < 0 ? r : fill(known, device, ret);
}

static void for_each_device(void *userdata, void (*visit)(ino_t ino, void *argument),
			    void *argument)
{
	const struct Manager *m = userdata;

	for (const struct Known *known = m->registry.first; known; known = known->next)
		if (known->is_decided)
			visit(known->ino, argument);
}

/* --- names --- */

/* Only links that the kernel made are followed: what else is mounted below /sys could keep us
 * waiting for ever. */
static const struct Known *find_by_path(const struct Manager *m, const char *path)
{
	static const char *const prefixes[] = {"/sys/devices/", "/sys/bus/", "/sys/class/",
					       "/sys/dev/", "/sys/block/"};
	const struct Known *known = registry_find(&m->registry, path);
	char real[PATH_MAX];

	if (known || strlen(path) >= PATH_MAX || strstr(path, ".."))
		return known;
	for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
		if (startswith(path, prefixes[i]) && realpath(path, real))
			return registry_find(&m->registry, real);
	return NULL;
}

static bool has_name(const struct Known *known, const char *name)
{
	const char *sysname = strrchr(known->syspath, '/') + 1,
		   *rest = startswith(name, bus_to_string(known->bus));

	return streq(name, sysname) || (rest && *rest == ':' && streq(rest + 1, sysname));
}

static int find_by_name(const struct Manager *m, const char *name, const struct Known **ret)
{
	*ret = NULL;
	for (const struct Known *known = m->registry.first; known; known = known->next) {
		if (!known->is_decided || !has_name(known, name))
			continue;
		if (*ret)
			return -ENOTUNIQ;
		*ret = known;
	}
	return *ret ? 0 : -ENODEV;
}

static int find_device(void *userdata, const char *name, ino_t *ret)
{
	const struct Manager *m = userdata;
	const struct Known *known = *name == '/' ? find_by_path(m, name) : NULL;
	_cleanup_free_ char *raw = NULL;
	int r = 0;

	if (*name != '/') {
		r = find_by_name(m, name, &known);
		if (r == -ENODEV && strchr(name, '\\') && (raw = unescape_text(name)))
			r = find_by_name(m, raw, &known); /* as it was told on the bus */
	}
	if (r < 0)
		return r;
	if (!known || !known->is_decided)
		return -ENODEV;
	*ret = known->ino;
	return 0;
}

/* --- the manager --- */

static void read_manager(void *userdata, struct BusManager *ret)
{
	static const char *const states[] = {[POLICY_OK] = "ok",
					     [POLICY_BUILT_IN] = "refused-built-in",
					     [POLICY_FORMER] = "refused-former"};
	struct Manager *m = userdata;
	const struct ManagerNotes *notes = manager_notes(m);
	struct Phase phase;

	phase_read(&phase); /* tools set marks, too */
	*ret = (struct BusManager){
		.kernel_mode = kernel_mode_to_string(kernel_mode()),
		.policy_mode =
			policy_mode_to_string(m->is_enforcing ? POLICY_ENFORCE : POLICY_AUDIT),
		.policy_state = states[m->policy_state],
		.impairment = notes->impairment ? notes->impairment : "",
		.configuration = notes->configuration ? notes->configuration : "",
		.frozen = phase.is_frozen,
		.sealed = phase.is_sealed,
		.policy_rules = (uint32_t)policy_n_rules(m->policy),
		.missing_rules = m->counts.missing,
		.policy_generation = m->loads,
		.policy_loaded_usec = (uint64_t)m->loaded_usec,
	};
}

static size_t read_counts(void *userdata, struct BusCount ret[static BUS_COUNTS_MAX])
{
	const struct ManagerCounts *counts = manager_counts(userdata);
	const struct BusCount all[] = {
		{"devices", counts->devices},	      {"authorized", counts->authorized},
		{"refused", counts->refused},	      {"returned", counts->returned},
		{"unchanged", counts->unchanged},     {"failed", counts->failed},
		{"unsupported", counts->unsupported}, {"missing", counts->missing},
		{"overflows", counts->overflows},
	};

	memcpy(ret, all, sizeof(all));
	return ELEMENTSOF(all);
}

/* One device tells for its bus, where there is one that the kernel can refuse anything. */
static const struct Known *example_of(const struct Manager *m, enum Bus bus)
{
	const struct Known *found = NULL;

	for (const struct Known *known = m->registry.first; known; known = known->next) {
		if (!known->is_decided || known->bus != bus)
			continue;
		found = known;
		if (known->before >= 0)
			break;
	}
	return found;
}

static size_t read_backends(void *userdata, struct BusBackend ret[static _BUS_MAX])
{
	const struct Manager *m = userdata;
	size_t n = 0;

	for (enum Bus bus = 0; bus < _BUS_MAX; bus++) {
		const struct Known *known = example_of(m, bus);
		_cleanup_device_ struct Device *device = NULL;
		_cleanup_close_ int dirfd = -1;

		if (known && manager_open(known, &dirfd, &device) >= 0)
			ret[n++] = (struct BusBackend){
				bus_to_string(bus), backend_to_string(device_backend(device)),
				protection_to_string(protection_of(device)),
				protection_explain(protection_of(device), bus)};
	}
	return n;
}

/* --- what is asked for --- */

static void on_decided(const struct HandResult *result, void *userdata)
{
	const struct HandResult done = *result;
	struct BusCall *call = userdata;

	bus_call_done(call, done.problem, done.text, done.driver);
}

static void on_denied(const struct HandResult *result, void *userdata)
{
	bus_call_done(userdata, result->problem, result->text, NULL);
}

static void decide(void *userdata, ino_t ino, const struct BusDecision *decision,
		   struct BusCall *call)
{
	const struct HandRequest request = {
		.authorize = decision->authorize,
		.remove = decision->remove,
		.permanent = decision->permanent,
		.driver = decision->driver,
	};

	manager_decide_by_hand(userdata, ino, &request, request.authorize ? on_decided : on_denied,
			       call);
}

static void carry_out(struct Manager *m, bool (*what)(struct Manager *m, struct Obstacle *ret),
		      struct BusCall *call)
{
	struct Obstacle obstacle = {PROBLEM_NONE, NULL};
	bool is_done = what(m, &obstacle);

	bus_call_done(call, is_done ? PROBLEM_NONE : obstacle.problem, obstacle.text, NULL);
}

static void on_reloaded(int error, void *userdata)
{
	struct Obstacle obstacle;

	if (manager_explain_reload(error, &obstacle))
		bus_call_done(userdata, obstacle.problem, obstacle.text, NULL);
	else
		bus_call_done(userdata, PROBLEM_NONE, NULL, NULL);
}

static void reload(void *userdata, struct BusCall *call)
{
	manager_reload(userdata, on_reloaded, call);
}

static void freeze(void *userdata, struct BusCall *call)
{
	carry_out(userdata, manager_freeze, call);
}

static void seal(void *userdata, struct BusCall *call)
{
	carry_out(userdata, manager_seal, call);
}

static void explain(void *userdata, ino_t ino, struct BusCall *call)
{
	manager_explain(userdata, find_known(userdata, ino), call);
}

static void read_personal(void *userdata, ino_t ino, struct BusCall *call)
{
	manager_read_personal(userdata, find_known(userdata, ino), call);
}

static const struct BusOperations operations = {
	.read_device = read_device,
	.for_each_device = for_each_device,
	.find_device = find_device,
	.read_manager = read_manager,
	.read_backends = read_backends,
	.read_counts = read_counts,
	.decide = decide,
	.explain = explain,
	.read_personal = read_personal,
	.reload = reload,
	.freeze = freeze,
	.seal = seal,
};

/* --- signals --- */

static void on_record(const struct Record *record, void *userdata)
{
	struct Manager *m = userdata;
	const struct Known *known;

	if (!bus_is_heard(m->bus))
		return;
	known = record->device ? find_known(m, record->device->ino) : NULL;
	bus_tell_decided(m->bus, &(struct BusRecord){
					 .ino = known ? known->ino : 0,
					 .name = record->name,
					 .outcome = record->outcome,
					 .action = record->action,
					 .driver = record->driver,
					 .rule = record->source,
					 .text = record->text,
				 });
}

static void tell(struct Manager *m, const struct Known *known,
		 void (*what)(struct BusServer *server, ino_t ino, const char *name))
{
	_cleanup_free_ char *name = bus_is_heard(m->bus) ? safe_name_of(known) : NULL;

	if (name)
		what(m->bus, known->ino, name);
}

void manager_bus_decided(struct Manager *m, const struct Known *known, bool is_new)
{
	if (is_new)
		tell(m, known, bus_tell_added);
	else
		manager_bus_changed(m, known);
}

void manager_bus_removed(struct Manager *m, const struct Known *known)
{
	if (known->is_decided)
		tell(m, known, bus_tell_removed);
}

void manager_bus_changed(struct Manager *m, const struct Known *known)
{
	if (known->is_decided && bus_is_heard(m->bus))
		bus_tell_changed(m->bus, known->ino);
}

void manager_bus_event(struct Manager *m, const char *syspath, const char *action)
{
	const struct Known *known;

	if (streq(action, "add") || !bus_is_heard(m->bus))
		return;
	known = registry_find(&m->registry, syspath);
	if (known)
		manager_bus_changed(m, known);
}

static void tell_changed(struct Manager *m, const char *const *properties)
{
	if (bus_is_heard(m->bus))
		bus_tell_manager_changed(m->bus, properties);
}

void manager_bus_phase_changed(struct Manager *m)
{
	tell_changed(m, (const char *const[]){"Frozen", "Sealed", NULL});
}

void manager_bus_policy_changed(struct Manager *m)
{
	tell_changed(m, (const char *const[]){"PolicyMode", "PolicyState", "PolicyRules",
					      "PolicyGeneration", "PolicyLoadedUSec", NULL});
}

void manager_bus_missing_changed(struct Manager *m)
{
	tell_changed(m, (const char *const[]){"MissingRules", NULL});
}

/* --- birth and death --- */

void manager_bus_start(struct Manager *m)
{
	int r = bus_new(m->event, m->options.n_peers_max, &operations, m, &m->bus);

	if (r < 0)
		log_warning("cannot serve D-Bus: %s", strerror(-r));
	else
		record_on_record(on_record, m);
}

void manager_bus_stop(struct Manager *m)
{
	if (m->bus)
		record_on_record(NULL, NULL);
	bus_free(m->bus);
	m->bus = NULL;
}
