/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-client.h"

#include <inttypes.h>

#include "names.h"
#include "test.h"

#define PATIENCE_USEC (30 * UINT64_C(1000000))

static sd_bus *connect_to(const char *address, bool is_bus)
{
	sd_bus *bus = NULL;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_address(bus, address) >= 0);
	assert_true(sd_bus_set_bus_client(bus, is_bus) >= 0);
	if (sd_bus_start(bus) < 0) {
		sd_bus_unref(bus);
		return NULL;
	}
	return bus;
}

sd_bus *connect_peer(struct Testbed *bed)
{
	_cleanup_free_ char *address = NULL;

	assert_true(asprintf(&address, "unix:path=%s/" BUS_SOCKET, bed->runtime_dir) > 0);
	return connect_to(address, false);
}

sd_bus *connect_system(void)
{
	return connect_to(getenv(SYSTEM_BUS_ADDRESS_VARIABLE), true);
}

static sd_bus_message *call(sd_bus *bus, const char *path, const char *interface,
			    const char *member, sd_bus_error *error, const char *types, va_list ap)
{
	_cleanup_message_ sd_bus_message *question = NULL;
	sd_bus_message *answer = NULL;

	assert_true(sd_bus_message_new_method_call(bus, &question, BUS_NAME, path, interface,
						   member) >= 0);
	assert_true(!types || sd_bus_message_appendv(question, types, ap) >= 0);
	(void)sd_bus_call(bus, question, PATIENCE_USEC, error, &answer);
	return answer;
}

sd_bus_message *bus_call(sd_bus *bus, const char *path, const char *interface, const char *member,
			 const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *answer;
	va_list ap;

	va_start(ap, types);
	answer = call(bus, path, interface, member, &error, types, ap);
	va_end(ap);
	if (!answer)
		fail_msg("%s: %s: %s", member, error.name, error.message);
	return answer;
}

void bus_call_fails(sd_bus *bus, const char *error, const char *path, const char *interface,
		    const char *member, const char *types, ...)
{
	sd_bus_error found = SD_BUS_ERROR_NULL;
	sd_bus_message *answer;
	va_list ap;

	va_start(ap, types);
	answer = call(bus, path, interface, member, &found, types, ap);
	va_end(ap);
	if (answer)
		fail_msg("%s succeeded, and should have failed with %s", member, error);
	if (!streq(found.name, error))
		fail_msg("%s failed with %s, and not with %s: %s", member, found.name, error,
			 found.message);
	sd_bus_error_free(&found);
}

char *bus_object(sd_bus *bus, const char *name)
{
	_cleanup_message_ sd_bus_message *answer =
		bus_call(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "GetDevice", "s", name);
	const char *path;

	assert_true(sd_bus_message_read(answer, "o", &path) >= 0);
	return strdup(path);
}

static char *text_of(sd_bus_message *answer, const char *type)
{
	union {
		const char *s;
		int b;
		uint32_t u;
		uint64_t t;
	} value;
	char *text = NULL;
	int r = sd_bus_message_read_basic(answer, type[0], &value);

	assert_true(r >= 0);
	switch (type[0]) {
	case 's':
		return strdup(value.s);
	case 'b':
		return strdup(value.b ? "yes" : "no");
	case 'u':
		r = asprintf(&text, "%" PRIu32, value.u);
		break;
	case 't':
		r = asprintf(&text, "%" PRIu64, value.t);
		break;
	default:
		fail_msg("a property of type %s", type);
	}
	assert_true(r >= 0);
	return text;
}

char *bus_property(sd_bus *bus, const char *path, const char *interface, const char *name)
{
	_cleanup_message_ sd_bus_message *answer =
		bus_call(bus, path, PROPERTIES_INTERFACE, "Get", "ss", interface, name);
	const char *type;

	assert_true(sd_bus_message_peek_type(answer, NULL, &type) >= 0);
	assert_true(sd_bus_message_enter_container(answer, 'v', type) >= 0);
	return text_of(answer, type);
}

void expect_property(sd_bus *bus, const char *path, const char *interface, const char *name,
		     const char *value)
{
	_cleanup_free_ char *found = bus_property(bus, path, interface, name);

	if (!streq(found, value))
		fail_msg("%s is \"%s\", not \"%s\"", name, found, value);
}
