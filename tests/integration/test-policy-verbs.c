/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "authctl.h"
#include "names.h"
#include "test.h"
#include "testbed.h"

#define run(ret_out, ret_err, ...)                                                                 \
	testbed_run(authctl_main, ret_out, ret_err, "tdx-authctl", __VA_ARGS__, NULL)

static const char rules[] = "version: 1\n"
			    "rules:\n"
			    "- { name: usb, action: deny, match: { usb: {} } }\n"
			    "- name: other\n"
			    "  action: allow\n"
			    "  match: { pci: { vendor: 0x8086, device: 0x100e } }\n"
			    "- name: nic\n"
			    "  action: allow\n"
			    "  driver: e1000e\n"
			    "  match: { pci: { vendor: 0x8086 } }\n"
			    "  count: { max: 1 }\n"
			    "- { name: last, action: deny, match: { pci: {} } }\n";

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void write_file(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

/* --- explain --- */

static void test_explain_names_the_key_that_failed_for_each_rule(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *out = NULL;

	testbed_policy(bed, rules);
	assert_int_equal(run(&out, NULL, "explain", "0000:00:01.0", "--policy", bed->policy),
			 EXIT_DONE);
	expect_in(out, "usb: is on the pci bus");
	expect_in(out, "device: is 0x10d3");
	expect_in(out, "nic    allow   fits, and decides");
	expect_in(out, "1 more rule behind it were not tried");
	expect_in(out, "Kernel's default:  deny: not on the list of hardened devices");
	expect_in(out, "Outcome:           allow e1000e");
}

static void test_explain_takes_a_modalias_of_a_device_that_is_not_there(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *json = NULL;

	testbed_policy(bed, rules);
	assert_int_equal(
		run(&out, NULL, "explain", "pci:v00008086d0000100Esv*", "--policy", bed->policy),
		EXIT_DONE);
	expect_in(out, "other  allow   fits, and decides");
	assert_int_equal(run(&json, NULL, "explain", "virtio:d00000002v00001AF4", "--policy",
			     bed->policy, "--json"),
			 EXIT_DONE);
	expect_in(json, "\"kernel_default\":\"allow virtio_blk");
	expect_in(json, "\"failed_key\":\"pci\"");
	assert_int_equal(run(NULL, NULL, "explain", "nothing:here", "--policy", bed->policy),
			 EXIT_NO_DEVICE);
}

static void test_explain_says_what_a_modalias_leaves_open(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *firm = NULL, *open = NULL, *kernel = NULL;

	testbed_policy(bed,
		       "version: 1\n"
		       "rules:\n"
		       "- { name: a, action: deny, match: { pci: { revision: 0x2 } } }\n"
		       "- { name: b, action: deny, match: { pci: { vendor: 0x10de } } }\n"
		       "- { name: c, action: allow, driver: x, match: { pci: {}, parent: { pci: {} "
		       "} } }\n");
	assert_int_equal(run(&firm, NULL, "explain", "pci:v000010DEd*", "--policy", bed->policy),
			 EXIT_DONE);
	expect_in(firm, "Unknown from it:   device, subsystem_vendor, subsystem_device, class, "
			"revision, address, ");
	expect_in(firm, "a     deny    may fit: revision: unknown from a modalias\n");
	expect_in(firm, "b     deny    fits, and decides unless one before it does\n");
	expect_in(firm, "Outcome:           deny\n");
	assert_int_equal(run(&open, NULL, "explain",
			     "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00", "--policy",
			     bed->policy),
			 EXIT_DONE);
	expect_in(open, "Outcome:           deny, or allow x\n");
	expect_in(open,
		  "Why:               depends on revision, parent: unknown from a modalias\n");
	assert_int_equal(
		run(&kernel, NULL, "explain", "pci:v00001AF4d00001042*", "--policy", bed->policy),
		EXIT_DONE);
	expect_in(kernel, "Kernel's default:  unknown from a modalias");
	expect_in(kernel, "Outcome:           deny, or allow x, or kernel\n");
	expect_in(kernel, "depends on revision, parent, class: unknown from a modalias\n");
}

/* The policy says deny, but nothing of root hubs, which have ids of their own. */
static void test_explain_says_what_else_a_modalias_may_be_of(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *hub = NULL, *gadget = NULL, *any = NULL, *acpi = NULL;

	testbed_policy(bed, "version: 1\ndefaults: { usb: deny }\n");
	assert_int_equal(run(&hub, NULL, "explain", "usb:v1D6Bp0002d*", "--policy", bed->policy),
			 EXIT_DONE);
	expect_in(hub, "Outcome:           deny, or -\n");
	expect_in(hub, "depends on name: unknown from a modalias\n");
	assert_int_equal(run(&gadget, NULL, "explain", "usb:v1D6Bp0104d*", "--policy", bed->policy),
			 EXIT_DONE);
	expect_in(gadget, "Outcome:           deny\n");
	assert_int_equal(run(&any, NULL, "explain", "usb:v*", "--policy", bed->policy), EXIT_DONE);
	expect_in(any, "Outcome:           deny, or -\n");
	/* of ACPI's there are two of one modalias */
	assert_int_equal(run(&acpi, NULL, "explain", "acpi:TST0001:", "--policy", bed->policy),
			 EXIT_DONE);
	expect_in(acpi, "Taken for:         a device of acpi; the platform device");
}

static void test_explain_refuses_what_is_no_modalias_and_says_what_one_is(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *err = NULL, *name = NULL;

	assert_int_equal(run(NULL, &err, "explain", "pci:v00001AF4", "--policy", bed->policy),
			 EXIT_USAGE);
	expect_in(err, "is no modalias: of this bus one is pci:vXXXXXXXXdXXXXXXXXsv");
	assert_int_equal(run(NULL, &name, "explain", "pci:0000:99:00.0", "--policy", bed->policy),
			 EXIT_NO_DEVICE);
	expect_in(name, "no such device");
}

static void test_explain_says_that_a_count_is_exhausted(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *one = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *two = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3);
	_cleanup_free_ char *out_one = NULL, *out_two = NULL;

	testbed_policy(bed, rules);
	assert_int_equal(run(&out_one, NULL, "explain", one, "--policy", bed->policy), EXIT_DONE);
	assert_int_equal(run(&out_two, NULL, "explain", two, "--policy", bed->policy), EXIT_DONE);
	expect_in(out_one, "fits, and decides");
	expect_in(out_two, "fits, but admits no more devices");
	expect_in(out_two, "Outcome:           deny");
}

/* --- policy --- */

static void test_check_finds_errors_and_what_is_hardly_meant(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *err = NULL;

	testbed_policy(bed, rules);
	assert_int_equal(run(&out, NULL, "policy", "check", bed->policy), EXIT_DONE);
	expect_in(out, ":4: other: allows any driver");
	expect_in(out, "4 rules in 1 file, ");
	testbed_policy(bed, "version: 1\nrules:\n- { action: permit, match: { pci: {} } }\n- x\n");
	assert_int_equal(run(NULL, &err, "policy", "check", bed->policy), EXIT_FAILED);
	expect_in(err, ":3:13: unknown action \"permit\"");
	expect_in(err, ":4:3: ");
}

static void test_check_shows_the_first_errors_of_many_and_counts_all(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *text = NULL, *err = NULL;
	unsigned lines = 0;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("version: 1\nrules:\n", f);
	for (int i = 0; i < 10000; i++)
		fputs("- wrong\n", f);
	fclose(f);
	testbed_policy(bed, text);
	assert_int_equal(run(NULL, &err, "policy", "check", bed->policy), EXIT_FAILED);
	for (const char *p = err; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 21);
	expect_in(err, "10000 errors in all");
}

static void test_show_prints_a_policy_that_is_the_same(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *again = NULL;

	testbed_policy(bed, rules);
	assert_int_equal(run(&out, NULL, "policy", "show", "--policy", bed->policy), EXIT_DONE);
	expect_in(out, ":7\n  - name: \"nic\"\n    action: allow\n    driver: \"e1000e\"\n");
	testbed_policy(bed, out);
	assert_int_equal(run(&again, NULL, "policy", "show", "--policy", bed->policy), EXIT_DONE);
	expect_in(again, "    match: { pci: { vendor: \"0x8086\", device: \"0x100e\" } }\n");
	expect_in(again, "  - name: \"nic\"\n");
}

/* A rule for what the device does not show would fit more than the device. */
static void test_generate_writes_no_rule_that_fits_more_than_the_device(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	free(testbed_add_usb_in_use(bed, "1-1", "Keyboard\n", ""));
	free(testbed_add_usb_in_use(bed, "1-2", "Clavi\xc3\xa9r\n", "1"));
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	assert_null(strstr(out, "action: allow"));
	expect_in(out, "they show nothing that identifies them.\n#   usb:1-1\n");
	expect_in(out, "what they call themselves is more than printable ASCII.\n#   usb:1-2\n");
}

static void add_firmware_device(struct Testbed *bed, const char *bus, const char *name,
				const char *attr, const char *ids, const char *modalias)
{
	_cleanup_free_ char *path = umockdev_testbed_add_device(
		bed->umockdev, bus, name, NULL, attr, ids, "authorized", "1\n", "authorized_by",
		"user\n", "modalias", modalias, NULL, NULL);
	_cleanup_free_ char *link = NULL;

	assert_true(asprintf(&link, "../../bus/%s/drivers/x", bus) > 0);
	umockdev_testbed_set_attribute_link(bed->umockdev, path, "driver", link);
}

/* Of several ids a rule names each alone, unless a modalias tells them all. */
static void test_generate_names_firmware_devices_by_all_of_their_ids(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	add_firmware_device(bed, "pnp", "00:00", "id", "TST0501\n", "");
	add_firmware_device(bed, "pnp", "00:01", "id", "PRP0001\n", "");
	add_firmware_device(bed, "pnp", "00:02", "id", "TST0501\nTST0500\n", "");
	add_firmware_device(bed, "acpi", "TST0001:00", "hid", "TST0001\n",
			    "acpi:TST0001:TST0002:\n");
	add_firmware_device(bed, "acpi", "TST0003:00", "hid", "TST0003\n",
			    "acpi:TST0003:\nof:NtestT<NULL>Cany,driver\n");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "match: { pnp: { id: [\"TST0501\"] } }\n");
	expect_in(out, "match: { acpi: { hid: [\"TST0001\", \"TST0002\"] }, modalias: "
		       "\"acpi:TST0001:TST0002:\" }\n");
	expect_in(out, "a rule cannot name all that they go by, and nothing else.\n"
		       "#   pnp:00:01 pnp:00:02 acpi:TST0003:00\n");
	testbed_policy(bed, out);
	assert_int_equal(run(NULL, NULL, "policy", "check", bed->policy), EXIT_DONE);
}

/* One that shows a serial number is not the one that shows none, whichever came first. */
static void test_generated_rules_take_no_device_from_each_other(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *list = NULL;

	free(testbed_add_usb_in_use(bed, "1-1", "", "1"));
	free(testbed_add_usb_in_use(bed, "1-2", "Keyboard\n", "1"));
	/* one kind, as the order of interfaces is none */
	free(testbed_add_usb_in_use(bed, "1-3", "", "12"));
	free(testbed_add_usb_in_use(bed, "1-4", "", "2112"));
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "interfaces: { equals: [\"03:01:01\"] } }, "
		       "modalias: \"usb:v1D6Bp0104d*dc00dsc00dp00\", not: [{ usb: { ");
	expect_in(out, "{ usb: { product: \"?*\" } }");
	expect_in(out, "equals: [\"03:01:01\", \"03:01:02\"]");
	testbed_policy(bed, out);
	assert_int_equal(run(&list, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	assert_null(strstr(list, "admits no more"));
	assert_null(strstr(list, "deny"));
}

static void test_generate_names_platform_devices_by_all_that_drivers_match(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	add_firmware_device(bed, "platform", "QEMU0002:00", "x", "", "acpi:QEMU0002:");
	add_firmware_device(bed, "platform", "timer.0", "x", "", "platform:timer");
	add_firmware_device(bed, "platform", "roof:1", "x", "", "platform:roof:1");
	add_firmware_device(bed, "platform", "odd", "x", "", "pci:v1");
	add_firmware_device(bed, "platform", "PRP0001:00", "x", "", "of:NtestT(null)Cany,driver");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "platform: { name: \"QEMU0002:00\" }, modalias: \"acpi:QEMU0002:\" }\n");
	expect_in(out, "platform: { name: \"timer.0\" }, modalias: \"platform:timer\" }\n");
	expect_in(out, "they show nothing that identifies them.\n"
		       "#   platform:PRP0001:00 platform:odd\n");
	expect_in(out, "modalias: \"platform:roof:1\" }\n");
}

static void test_generate_lets_no_name_pose_as_more_than_one(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *unused = testbed_add_platform(bed, "a pci:0000:00:09.0");
	_cleanup_free_ char *out = NULL;

	add_firmware_device(bed, "platform", "b: harmless", "x", "", "platform:b");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "#   platform:a\\x20pci:0000:00:09.0\n");
	expect_in(out, "  # platform:b:\\x20harmless\n");
}

/* As if no device had a serial number. */
static void test_generate_takes_no_snapshot_that_lacks_what_rules_name(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *path = NULL, *err = NULL;

	assert_true(asprintf(&path, "%s/snapshot", bed->runtime_dir) > 0);
	write_file(path, "{ \"version\": 1, \"attributes\": [], \"devices\": [] }");
	assert_int_equal(run(NULL, &err, "policy", "generate", "--snapshot", path), EXIT_FAILED);
	expect_in(err, "does not hold \"serial\", which rules go by");
	(void)unlink(path);
}

/* To pnp upper case and lower case are one, and so is an id that stands there twice. */
static void test_generated_rules_compare_ids_as_their_bus_does(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	add_firmware_device(bed, "pnp", "00:00", "id", "TST0c0f\n", "");
	add_firmware_device(bed, "pnp", "00:01", "id", "TST0C0F\n", "");
	add_firmware_device(bed, "pnp", "00:02", "id", "TST0C0F\ntst0c0f\n", "");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "match: { pnp: { id: [\"TST0C0F\"] } }\n    count: { max: 3 }\n");
	assert_null(strstr(out, "No rules"));
}

/* The older attribute takes no driver's name: a rule with one would refuse the device. */
static void test_generate_names_no_driver_where_the_kernel_takes_none(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *list = NULL;

	add_firmware_device(bed, "pnp", "00:00", "id", "TST0501\n", "");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	assert_null(strstr(out, "driver:"));
	testbed_policy(bed, out);
	assert_int_equal(run(&list, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	expect_in(list, "allow");
}

static void test_generate_allows_what_is_in_use_and_no_list_admits(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *unused = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x1234);
	_cleanup_free_ char *out = NULL, *list = NULL;

	free(testbed_add_usb_in_use(bed, "1-1", "Key\"board*\n", "1"));
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "# usb:1-1");
	expect_in(out, "  - name: \"usb-1d6b-0104\"\n    action: allow\n");
	expect_in(out,
		  "idVendor: \"0x1d6b\", idProduct: \"0x0104\", product: \"Key\\\"board\\\\*\"");
	expect_in(out, "count: { max: 1 }");
	assert_null(strstr(out, "1234"));
	/* and the policy does what it is for */
	testbed_policy(bed, out);
	assert_int_equal(run(&list, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	expect_in(list, "allow");
}

/* A pci device in use, with a driver. */
static void add_in_use(struct Testbed *bed, const char *name, unsigned device, const char *driver)
{
	_cleanup_free_ char *path = testbed_add_pci(bed, name, 0x8086, device), *link = NULL;

	assert_true(asprintf(&link, "../../bus/pci/drivers/%s", driver) > 0);
	umockdev_testbed_set_attribute(bed->umockdev, path, "authorized", "1\n");
	umockdev_testbed_set_attribute_link(bed->umockdev, path, "driver", link);
}

#define FITS_OTHERS "# No rules for these: a rule for them fits others here, too.\n#   "

/* Whichever of them had come first would have the other's driver. */
static void test_generate_leaves_out_what_differs_in_its_driver_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	add_in_use(bed, "0000:00:01.0", 0x1, "e1000e");
	add_in_use(bed, "0000:00:02.0", 0x1, "vfio-pci");
	add_in_use(bed, "0000:00:03.0", 0x2, "e1000e");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, FITS_OTHERS "pci:0000:00:01.0 pci:0000:00:02.0\n");
	expect_in(out, "device: \"0x0002\"");
	assert_null(strstr(out, "device: \"0x0001\""));
}

/* The rule's one place would go to who comes first, which is for the host to say. */
static void test_generate_leaves_out_what_another_one_could_take_the_place_of(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	free(testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x1));
	add_in_use(bed, "0000:00:02.0", 0x1, "e1000e");
	add_in_use(bed, "0000:00:03.0", 0x2, "e1000e");
	add_in_use(bed, "0000:00:04.0", 0x3, "e1000e");
	free(testbed_add_pci(bed, "0000:00:05.0", 0x8086, 0x2));
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, FITS_OTHERS "pci:0000:00:02.0 pci:0000:00:03.0\n");
	expect_in(out, "they are refused now.\n#   pci:0000:00:01.0 pci:0000:00:05.0\n");
	expect_in(out, "device: \"0x0003\"");
}

/* The list has the clock for another driver. */
static void test_generate_keeps_firmware_devices_with_drivers_of_their_own(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	add_firmware_device(bed, "pnp", "00:00", "id", "PNP0b00\n", "");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "match: { pnp: { id: [\"PNP0B00\"] } }\n");
}

/* virtio's network card over pci, which the list admits for virtio-pci. */
static void test_generate_goes_by_the_list_for_its_own_drivers_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;
	char *path;

	for (int i = 1; i <= 3; i++) {
		char name[16];
		_cleanup_free_ char *link = NULL;

		(void)snprintf(name, sizeof(name), "0000:00:0%d.0", i);
		path = testbed_add_pci(bed, name, 0x1af4, 0x1041);
		assert_true(asprintf(&link, "../../bus/pci/drivers/%s",
				     i == 2 ? "vfio-pci" : "virtio-pci") > 0);
		umockdev_testbed_set_attribute(bed->umockdev, path, "subsystem_device",
					       i == 1	? "0x0001\n"
					       : i == 2 ? "0x0002\n"
							: "0x0003\n");
		umockdev_testbed_set_attribute(bed->umockdev, path, "authorized", "1\n");
		umockdev_testbed_set_attribute(bed->umockdev, path, "authorized_by",
					       i == 3 ? "default\n" : "user\n");
		umockdev_testbed_set_attribute_link(bed->umockdev, path, "driver", link);
		free(path);
	}
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "they are on tdx-auth's list of hardened devices.\n#   pci:0000:00:01.0\n");
	expect_in(out, "driver: \"vfio-pci\"\n");
	expect_in(out, "subsystem_device: \"0x0003\"");
}

static void test_generated_rules_keep_no_place_for_root_hubs(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *list = NULL;

	free(testbed_add_usb_in_use(bed, "usb1", "x\n", "1"));
	free(testbed_add_usb_in_use(bed, "1-1", "x\n", "1"));
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "count: { max: 1 }");
	testbed_policy(bed, out);
	assert_int_equal(run(&list, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	expect_in(list, "usb-1d6b-0104");
	assert_null(strstr(list, "deny"));
}

/* A file that the parser refuses would be found out when it is to be put in force. */
static void test_generate_writes_nothing_that_is_too_large(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *err = NULL, *text = g_strnfill(4000, '*');

	for (unsigned i = 1; i <= 150; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "1-%u", i);
		text[i] = 'x';
		free(testbed_add_usb_in_use(bed, name, text, "1"));
	}
	assert_int_equal(run(&out, &err, "policy", "generate"), EXIT_FAILED);
	assert_string_equal(out, "");
	expect_in(err, "larger than a file of one may be");
}

static void test_generated_rules_have_names_of_their_own(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL, *list = NULL;

	add_in_use(bed, "0000:00:01.0", 0x1, "e1000e");
	add_in_use(bed, "0000:00:02.0", 0x2, "e1000e-2");
	add_in_use(bed, "0000:00:03.0", 0x3, "e1000e");
	add_in_use(bed, "0000:00:04.0", 0x4, "e1000e");
	add_in_use(bed, "0000:00:05.0", 0x4, "e1000e");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "  - name: \"e1000e\"\n    action: allow\n    driver: \"e1000e\"\n");
	expect_in(out, "  - name: \"e1000e-2\"\n    action: allow\n    driver: \"e1000e-2\"\n");
	expect_in(out, "  - name: \"e1000e-3\"\n    action: allow\n    driver: \"e1000e\"\n");
	expect_in(out, "  - name: \"e1000e-4\"\n    action: allow\n    driver: \"e1000e\"\n");
	assert_null(strstr(out, "\"e1000e-5\""));
	testbed_policy(bed, out);
	assert_int_equal(run(&list, NULL, "list", "--policy", bed->policy), EXIT_DONE);
	expect_in(list, ":e1000e-4\n");
}

/* One that shows no interfaces. */
static void add_usb(struct Testbed *bed, const char *name)
{
	const unsigned char descriptors[18] = {18, 1};
	_cleanup_free_ char *path = testbed_add_usb(bed, name, "x\n");

	umockdev_testbed_set_attribute_binary(bed->umockdev, path, "descriptors",
					      (guint8 *)descriptors, sizeof(descriptors));
}

static void test_generate_says_which_devices_have_no_rule_and_why(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *refused = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x1234);
	_cleanup_free_ char *timer = umockdev_testbed_add_device(
		bed->umockdev, "platform", "ti\x1bmer", NULL, "x", "y", NULL, NULL);
	_cleanup_free_ char *out = NULL;

	add_usb(bed, "usb1");
	add_usb(bed, "1-1");
	add_usb(bed, "1-2");
	umockdev_testbed_set_attribute_link(bed->umockdev, timer, "driver",
					    "../../bus/platform/drivers/some");
	assert_int_equal(run(&out, NULL, "policy", "generate"), EXIT_DONE);
	expect_in(out, "# No rules for these: they are refused now.\n#   pci:0000:00:01.0\n");
	expect_in(out, "# No rules for these: no driver has them.\n#   usb:1-1 usb:1-2\n");
	expect_in(out, "# No rules for these: root hub: part of its controller.\n#   usb:usb1\n");
	expect_in(out, "# No rules for these: without the kernel series they may be the kernel's "
		       "own.\n#   platform:ti\\x1bmer\n");
	testbed_policy(bed, out);
	assert_int_equal(run(NULL, NULL, "policy", "check", bed->policy), EXIT_DONE);
}

/* --- snapshots --- */

static void snapshot_to(struct Testbed *bed, const char *path)
{
	_cleanup_free_ char *out = NULL;

	assert_int_equal(run(&out, NULL, "snapshot", "--policy", bed->policy), EXIT_DONE);
	write_file(path, out);
}

static char *in_runtime_dir(struct Testbed *bed, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", bed->runtime_dir, name) > 0);
	return path;
}

static void test_policy_test_judges_a_snapshot_without_its_machine(void **state)
{
	struct Testbed *bed = *state;
	char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *snapshot = in_runtime_dir(bed, "snapshot"),
			    *expect = in_runtime_dir(bed, "expect"), *out = NULL, *err = NULL;

	testbed_policy(bed, rules);
	snapshot_to(bed, snapshot);
	umockdev_testbed_remove_device(bed->umockdev, nic);
	free(nic);
	assert_int_equal(
		run(&out, NULL, "policy", "test", "--snapshot", snapshot, "--policy", bed->policy),
		EXIT_DONE);
	expect_in(out, "pci:0000:00:01.0  allow    e1000e");
	/* what it prints is what can be expected of it */
	write_file(expect, out);
	assert_int_equal(run(NULL, NULL, "policy", "test", "--snapshot", snapshot, "--policy",
			     bed->policy, "--expect", expect),
			 EXIT_DONE);
	write_file(expect, "# a comment\npci:0000:00:01.0 deny # another\npci:0000:00:09.0 deny\n");
	assert_int_equal(run(NULL, &err, "policy", "test", "--snapshot", snapshot, "--policy",
			     bed->policy, "--expect", expect),
			 EXIT_FAILED);
	expect_in(err, ":2: pci:0000:00:01.0 is \"allow e1000e\", not \"deny\"");
	expect_in(err, ":3: pci:0000:00:09.0 is not in the snapshot");
	(void)unlink(snapshot);
	(void)unlink(expect);
}

#define TEST(snapshot, expect)                                                                     \
	"policy", "test", "--snapshot", snapshot, "--policy", bed->policy, "--expect", expect

/* The host names its devices: one called like a glob must not stand for the others. */
static void test_names_that_are_expected_are_no_globs(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *star = testbed_add_platform(bed, "a*");
	_cleanup_free_ char *other = testbed_add_platform(bed, "ab");
	_cleanup_free_ char *snapshot = in_runtime_dir(bed, "snapshot"),
			    *expect = in_runtime_dir(bed, "expect"), *err = NULL, *none = NULL;

	snapshot_to(bed, snapshot);
	write_file(expect, "platform:a* deny\n");
	assert_int_equal(run(NULL, &err, TEST(snapshot, expect)), EXIT_FAILED);
	expect_in(err, "no line for platform:ab, which is \"deny\"");
	assert_null(strstr(err, "platform:a*"));
	write_file(expect, "platform:a* deny\nplatform:ab deny\nplatform:?? deny\n");
	assert_int_equal(run(NULL, &none, TEST(snapshot, expect)), EXIT_FAILED);
	expect_in(none, ":3: platform:?? is not in the snapshot; a name is no glob here");
	write_file(expect, "platform:a* deny\nplatform:ab deny\n");
	assert_int_equal(run(NULL, NULL, TEST(snapshot, expect)), EXIT_DONE);
	(void)unlink(snapshot);
	(void)unlink(expect);
}

static void test_names_with_blanks_can_be_expected(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *bus = testbed_add_platform(bed, "Fixed MDIO # bus.0");
	_cleanup_free_ char *snapshot = in_runtime_dir(bed, "snapshot"),
			    *expect = in_runtime_dir(bed, "expect"), *out = NULL, *err = NULL;

	snapshot_to(bed, snapshot);
	assert_int_equal(
		run(&out, NULL, "policy", "test", "--snapshot", snapshot, "--policy", bed->policy),
		EXIT_DONE);
	expect_in(out, "\nplatform:Fixed\\x20MDIO\\x20#\\x20bus.0  deny");
	write_file(expect, out);
	assert_int_equal(run(NULL, NULL, TEST(snapshot, expect)), EXIT_DONE);
	write_file(expect, "platform:Fixed\\x20MDIO\\x20#\\x20bus.0 allow\n");
	assert_int_equal(run(NULL, NULL, TEST(snapshot, expect)), EXIT_FAILED);
	write_file(expect, "\nplatform:Fixed MDIO bus.0 deny\n");
	assert_int_equal(run(NULL, &err, TEST(snapshot, expect)), EXIT_FAILED);
	expect_in(err, ":2: a line is a device, and one of allow, deny");
	(void)unlink(snapshot);
	(void)unlink(expect);
}

static void test_a_device_is_expected_once(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *snapshot = in_runtime_dir(bed, "snapshot"),
			    *expect = in_runtime_dir(bed, "expect"), *err = NULL;

	snapshot_to(bed, snapshot);
	write_file(expect, "pci:0000:00:01.0 deny\npci:0000:00:01.0 allow\n");
	assert_int_equal(run(NULL, &err, TEST(snapshot, expect)), EXIT_FAILED);
	expect_in(err, "pci:0000:00:01.0 stands in line ");
	(void)unlink(snapshot);
	(void)unlink(expect);
}

static void test_snapshot_without_what_the_policy_asks_for_is_refused(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *snapshot = in_runtime_dir(bed, "snapshot"), *err = NULL, *out = NULL;

	snapshot_to(bed, snapshot);
	testbed_policy(bed,
		       "version: 1\nrules:\n"
		       "- { action: deny, match: { pci: {}, not: { attrs: { label: a } } } }\n");
	assert_int_equal(
		run(NULL, &err, "policy", "test", "--snapshot", snapshot, "--policy", bed->policy),
		EXIT_FAILED);
	expect_in(err, "does not hold \"label\"");
	/* nor is it a change of the machine's */
	assert_int_equal(run(&out, NULL, "diff", snapshot, "--policy", bed->policy), EXIT_DONE);
	snapshot_to(bed, snapshot);
	assert_int_equal(
		run(NULL, NULL, "policy", "test", "--snapshot", snapshot, "--policy", bed->policy),
		EXIT_DONE);
	(void)unlink(snapshot);
}

static void test_explain_finds_devices_of_a_snapshot(void **state)
{
	struct Testbed *bed = *state;
	char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *snapshot = in_runtime_dir(bed, "snapshot"), *out = NULL;

	testbed_policy(bed, rules);
	snapshot_to(bed, snapshot);
	umockdev_testbed_remove_device(bed->umockdev, nic);
	free(nic);
	assert_int_equal(run(&out, NULL, "explain", "pci:0000:00:01.0", "--snapshot", snapshot,
			     "--policy", bed->policy),
			 EXIT_DONE);
	expect_in(out, "Outcome:           allow e1000e");
	(void)unlink(snapshot);
}

static void test_a_root_that_is_not_there_is_no_policy(void **state)
{
	assert_int_equal(run(NULL, NULL, "policy", "check", "--root", "/nonexistent"), EXIT_FAILED);
	assert_int_equal(run(NULL, NULL, "list", "--root", "/nonexistent"), EXIT_FAILED);
}

static void test_a_root_without_policy_is_told_by_check(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *out = NULL;

	assert_int_equal(run(&out, NULL, "policy", "check", "--root", bed->runtime_dir), EXIT_DONE);
	expect_in(out, "/etc/tdx-auth/policy.d: no policy is there");
}

static void test_diff_says_what_came_what_went_and_what_changed(void **state)
{
	struct Testbed *bed = *state;
	char *gone = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *stays = testbed_add_pci(bed, "0000:00:02.0", 0x8086, 0x10d3),
			    *new = NULL, *snapshot = in_runtime_dir(bed, "snapshot"), *out = NULL,
			    *none = NULL;

	snapshot_to(bed, snapshot);
	assert_int_equal(run(&none, NULL, "diff", snapshot, "--policy", bed->policy), EXIT_DONE);
	assert_string_equal(none, "");
	umockdev_testbed_remove_device(bed->umockdev, gone);
	free(gone);
	new = testbed_add_pci(bed, "0000:00:03.0", 0x8086, 0x10d3);
	assert_non_null(new);
	umockdev_testbed_set_attribute(bed->umockdev, stays, "class", "0x010601\n");
	umockdev_testbed_set_attribute(bed->umockdev, stays, "authorized", "1\n");
	assert_int_equal(run(&out, NULL, "diff", snapshot, "--policy", bed->policy), EXIT_FAILED);
	expect_in(out, "removed pci:0000:00:01.0\n");
	expect_in(out, "added pci:0000:00:03.0\n");
	expect_in(out, "changed pci:0000:00:02.0 class: 0x020000 -> 0x010601\n");
	expect_in(out, "changed pci:0000:00:02.0 authorized: false -> true\n");
	(void)unlink(snapshot);
}

/* --- policy generate --profile --- */

#define PROFILE                                                                                    \
	"# SPDX-License-Identifier: LGPL-2.1-or-later\n"                                           \
	"# A machine of a kind\n"                                                                  \
	"# and more of it\n"                                                                       \
	"version: 1\n"                                                                             \
	"rules:\n"                                                                                 \
	"- { name: nic, action: allow, driver: gve, match: { pci: { vendor: 0x1ae0 } } }\n"

/* Profiles for the tool in place of those that are installed. */
static void write_profile(struct Testbed *bed, const char *file, const char *text)
{
	_cleanup_free_ char *path = in_runtime_dir(bed, file);

	write_file(path, text);
	assert_int_equal(setenv("TDX_AUTH_PROFILE_DIRECTORY", bed->runtime_dir, 1), 0);
}

static void test_a_profile_is_printed_as_it_stands(void **state)
{
	_cleanup_free_ char *out = NULL, *json = NULL;

	write_profile(*state, "google.yaml", PROFILE);
	assert_int_equal(run(&out, NULL, "policy", "generate", "--profile", "google"), EXIT_DONE);
	assert_string_equal(out, PROFILE);
	assert_int_equal(run(&json, NULL, "policy", "generate", "--profile", "google", "--json"),
			 EXIT_DONE);
	expect_in(json, "\"name\":\"google.yaml:nic\"");
}

static void test_help_lists_the_profiles_and_what_they_are_for(void **state)
{
	_cleanup_free_ char *out = NULL, *json = NULL;

	write_profile(*state, "google.yaml", PROFILE);
	write_profile(*state, "bare.yaml", "version: 1\n");
	write_profile(*state, "README", "no profile\n");
	assert_int_equal(run(&out, NULL, "policy", "generate", "--profile", "help"), EXIT_DONE);
	assert_string_equal(out, "PROFILE  FOR\n"
				 "bare     -\n"
				 "google   A machine of a kind\n");
	assert_int_equal(run(&json, NULL, "policy", "generate", "--profile", "help", "--json"),
			 EXIT_DONE);
	expect_in(json, "\"profile\":\"google\"");
	expect_in(json, "\"purpose\":\"A machine of a kind\"");
}

static void test_a_profile_that_is_not_there_is_told_with_the_nearest(void **state)
{
	_cleanup_free_ char *near = NULL, *far = NULL, *path = NULL;

	write_profile(*state, "google.yaml", PROFILE);
	assert_int_equal(run(NULL, &near, "policy", "generate", "--profile", "googel"), EXIT_USAGE);
	expect_in(near, "unknown profile \"googel\", the nearest is \"google\"");
	assert_int_equal(run(NULL, &far, "policy", "generate", "--profile", "x"), EXIT_USAGE);
	expect_in(far, "unknown profile \"x\": there are google");
	/* a name, never a path */
	assert_int_equal(run(NULL, &path, "policy", "generate", "--profile", "./google"),
			 EXIT_USAGE);
	expect_in(path, "unknown profile");
}

static void test_a_profile_goes_by_no_snapshot(void **state)
{
	_cleanup_free_ char *err = NULL;

	write_profile(*state, "google.yaml", PROFILE);
	assert_int_equal(
		run(NULL, &err, "policy", "generate", "--profile", "google", "--snapshot", "-"),
		EXIT_USAGE);
	expect_in(err, "--profile and --snapshot exclude each other");
}

static void test_a_profile_that_is_no_policy_is_not_printed(void **state)
{
	_cleanup_free_ char *out = NULL, *err = NULL;

	write_profile(*state, "google.yaml", "version: 1\nrule: []\n");
	assert_int_equal(run(&out, &err, "policy", "generate", "--profile", "google"), EXIT_FAILED);
	assert_string_equal(out, "");
	expect_in(err, "google.yaml:2:1: unknown");
}

static void test_without_profiles_none_is_printed(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *empty = NULL, *none = NULL;

	assert_int_equal(setenv("TDX_AUTH_PROFILE_DIRECTORY", bed->runtime_dir, 1), 0);
	assert_int_equal(run(NULL, &empty, "policy", "generate", "--profile", "help"), EXIT_FAILED);
	expect_in(empty, "no profile is there");
	assert_int_equal(setenv("TDX_AUTH_PROFILE_DIRECTORY", "/nonexistent", 1), 0);
	assert_int_equal(run(NULL, &none, "policy", "generate", "--profile", "google"),
			 EXIT_FAILED);
	expect_in(none, "/nonexistent: no profile is there");
}

/* --- freeze --- */

static void test_after_the_freeze_nothing_is_authorized_by_hand_nor_applied(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *value = NULL;

	assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
	assert_int_equal(run(NULL, NULL, "authorize", "0000:00:01.0"), EXIT_REFUSED);
	assert_int_equal(run(NULL, NULL, "apply", "--policy", bed->policy), EXIT_REFUSED);
	value = testbed_attr(bed, nic, "authorized");
	assert_string_equal(value, "0");
	assert_int_equal(run(NULL, NULL, "deny", "0000:00:01.0"), EXIT_DONE);
}

/* Of a kernel that is not there, so that nothing is ever rendered here. */
static void test_after_the_freeze_the_module_policy_is_that_of_other_systems_alone(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *before = NULL, *after = NULL, *here = NULL, *other = NULL;

	assert_int_equal(run(NULL, &before, "modules", "render", "--kernel", "none"), EXIT_FAILED);
	expect_in(before, "there is no kernel none");
	assert_int_equal(run(NULL, NULL, "freeze"), EXIT_DONE);
	assert_int_equal(run(NULL, &after, "modules", "render", "--kernel", "none"), EXIT_REFUSED);
	expect_in(after, "nothing was rendered: ");
	expect_in(after, "after the freeze, and the policy does not change");
	assert_int_equal(run(NULL, &here, "modules", "render", "--kernel", "none", "--root", "/."),
			 EXIT_REFUSED);
	assert_int_equal(run(NULL, &other, "modules", "render", "--kernel", "none", "--root",
			     bed->runtime_dir),
			 EXIT_FAILED);
	expect_in(other, "there is no kernel none");
}

static void test_the_seal_is_the_kernels_lock_as_well(void **state)
{
	struct Testbed *bed = *state;
	_cleanup_free_ char *nic = testbed_add_pci(bed, "0000:00:01.0", 0x8086, 0x10d3);
	_cleanup_free_ char *lock = NULL, *err = NULL, *out = NULL;

	testbed_mode(bed, "enforce");
	testbed_add_file(bed, SYSFS_AUTHORIZATION "/lock", "0\n");
	testbed_policy(bed, "version: 1\nrules:\n- { action: allow, match: { pci: {} } }\n");
	assert_int_equal(run(NULL, &err, "seal"), EXIT_DONE);
	assert_string_equal(err, "tdx-authctl: no daemon runs: written directly\n");
	lock = testbed_attr(bed, SYSFS_AUTHORIZATION, "lock");
	assert_string_equal(lock, "1");
	assert_int_equal(run(NULL, NULL, "authorize", "0000:00:01.0"), EXIT_REFUSED);
	assert_int_equal(run(NULL, NULL, "apply", "--policy", bed->policy), EXIT_REFUSED);
	assert_int_equal(run(&out, NULL, "explain", nic, "--policy", bed->policy), EXIT_DONE);
	expect_in(out, "fits, but nothing is authorized after the seal\n");
}

static void test_a_seal_without_the_kernels_lock_says_so(void **state)
{
	_cleanup_free_ char *err = NULL;

	(void)state;
	assert_int_equal(run(NULL, &err, "seal"), EXIT_DONE);
	expect_in(err, "this kernel has no lock");
}

#define VERB_TEST(f) cmocka_unit_test_setup_teardown(f, testbed_setup, testbed_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VERB_TEST(test_explain_names_the_key_that_failed_for_each_rule),
		VERB_TEST(test_explain_takes_a_modalias_of_a_device_that_is_not_there),
		VERB_TEST(test_explain_says_what_a_modalias_leaves_open),
		VERB_TEST(test_explain_says_what_else_a_modalias_may_be_of),
		VERB_TEST(test_explain_refuses_what_is_no_modalias_and_says_what_one_is),
		VERB_TEST(test_explain_says_that_a_count_is_exhausted),
		VERB_TEST(test_check_finds_errors_and_what_is_hardly_meant),
		VERB_TEST(test_check_shows_the_first_errors_of_many_and_counts_all),
		VERB_TEST(test_show_prints_a_policy_that_is_the_same),
		VERB_TEST(test_generate_allows_what_is_in_use_and_no_list_admits),
		VERB_TEST(test_generate_writes_no_rule_that_fits_more_than_the_device),
		VERB_TEST(test_generate_names_firmware_devices_by_all_of_their_ids),
		VERB_TEST(test_generated_rules_take_no_device_from_each_other),
		VERB_TEST(test_generated_rules_compare_ids_as_their_bus_does),
		VERB_TEST(test_generate_names_no_driver_where_the_kernel_takes_none),
		VERB_TEST(test_generate_leaves_out_what_differs_in_its_driver_alone),
		VERB_TEST(test_generate_leaves_out_what_another_one_could_take_the_place_of),
		VERB_TEST(test_generate_keeps_firmware_devices_with_drivers_of_their_own),
		VERB_TEST(test_generate_goes_by_the_list_for_its_own_drivers_alone),
		VERB_TEST(test_generate_names_platform_devices_by_all_that_drivers_match),
		VERB_TEST(test_generate_lets_no_name_pose_as_more_than_one),
		VERB_TEST(test_generate_takes_no_snapshot_that_lacks_what_rules_name),
		VERB_TEST(test_generated_rules_keep_no_place_for_root_hubs),
		VERB_TEST(test_generate_writes_nothing_that_is_too_large),
		VERB_TEST(test_generated_rules_have_names_of_their_own),
		VERB_TEST(test_generate_says_which_devices_have_no_rule_and_why),
		VERB_TEST(test_a_profile_is_printed_as_it_stands),
		VERB_TEST(test_help_lists_the_profiles_and_what_they_are_for),
		VERB_TEST(test_a_profile_that_is_not_there_is_told_with_the_nearest),
		VERB_TEST(test_a_profile_goes_by_no_snapshot),
		VERB_TEST(test_a_profile_that_is_no_policy_is_not_printed),
		VERB_TEST(test_without_profiles_none_is_printed),
		VERB_TEST(test_policy_test_judges_a_snapshot_without_its_machine),
		VERB_TEST(test_names_that_are_expected_are_no_globs),
		VERB_TEST(test_names_with_blanks_can_be_expected),
		VERB_TEST(test_a_device_is_expected_once),
		VERB_TEST(test_snapshot_without_what_the_policy_asks_for_is_refused),
		VERB_TEST(test_explain_finds_devices_of_a_snapshot),
		VERB_TEST(test_a_root_without_policy_is_told_by_check),
		VERB_TEST(test_a_root_that_is_not_there_is_no_policy),
		VERB_TEST(test_diff_says_what_came_what_went_and_what_changed),
		VERB_TEST(test_after_the_freeze_nothing_is_authorized_by_hand_nor_applied),
		VERB_TEST(test_after_the_freeze_the_module_policy_is_that_of_other_systems_alone),
		VERB_TEST(test_the_seal_is_the_kernels_lock_as_well),
		VERB_TEST(test_a_seal_without_the_kernels_lock_says_so),
	};

	return RUN_TESTS("policy-verbs", tests);
}
