/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-rendered.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include "module-asks.h"
#include "module-tree.h"
#include "names.h"
#include "policy-of.h"

static const char enforce[] = "version: 1\nmodules: { mode: enforce, allow: [loop] }\nrules:\n"
			      "- { action: allow, driver: e1000e, match: { pci: "
			      "{ vendor: 0x8086, device: 0x10d3 } } }\n";

static struct utsname uts; /* of the kernel that runs */

static int setup(void **state)
{
	assert_int_equal(tree_make(state), 0);
	assert_int_equal(setenv("TDX_AUTH_MODULE_ROOT", tree_root, 1), 0);
	assert_int_equal(uname(&uts), 0);
	return 0;
}

static int teardown(void **state)
{
	return tree_remove(state);
}

/* The head of what is rendered for @kernels of @policy. */
static void put_rendered(bool owners, const char *mode, const char *kernels, const char *policy)
{
	_cleanup_policy_ struct Policy *of = policy ? policy_of(policy) : NULL;
	_cleanup_free_ char *asks = of ? module_asks(of) : strdup(""), *config = NULL;

	assert_true(asprintf(&config,
			     "# Made by us\n%s" MODULE_MODE "%s\n%sinstall x " MODULE_GATE "\n",
			     kernels, mode, asks) > 0);
	tree_put(owners ? MODULE_CONFIG_OWNER : MODULE_CONFIG_VENDOR, config);
}

static void expect(const char *policy, enum RenderedState state, const char *part)
{
	_cleanup_policy_ struct Policy *of = policy_of(policy);
	struct Rendered rendered;
	_cleanup_free_ char *text = NULL;

	assert_int_equal(rendered_compare(of, &rendered), 0);
	text = rendered_text(&rendered);
	if (rendered.state != state || !strstr(text, part))
		fail_msg("%s: %s, and not %s with \"%s\"", rendered_state_to_string(rendered.state),
			 text, rendered_state_to_string(state), part);
	rendered_done(&rendered);
}

static void test_nothing_has_to_be_rendered_where_nothing_is_kept_out(void **state)
{
	expect("version: 1\n", RENDERED_CURRENT, "off: the policy keeps none out");
	expect("version: 1\nmodules: { mode: \"off\" }\n", RENDERED_CURRENT, "off");
	put_rendered(true, "off", "", NULL);
	expect("version: 1\n", RENDERED_CURRENT, "off");
}

static void test_what_is_asked_for_and_not_rendered_is_not_in_force(void **state)
{
	expect(enforce, RENDERED_NOTHING,
	       "the policy says enforce, and nothing is rendered: run tdx-authctl modules render");
	put_rendered(true, "off", "", NULL);
	expect(enforce, RENDERED_OTHER_MODE,
	       "the policy says enforce, and what is rendered says off: run tdx-authctl");
}

static void test_another_mode_is_found(void **state)
{
	put_rendered(true, "enforce", "", enforce);
	expect("version: 1\n", RENDERED_OTHER_MODE, "says off, and what is rendered says enforce");
	expect("version: 1\nmodules: { mode: audit }\n", RENDERED_OTHER_MODE, "says audit");
	expect(enforce, RENDERED_CURRENT, "enforce");
}

static void test_a_policy_that_asks_for_other_modules_is_found(void **state)
{
	put_rendered(true, "enforce", "", enforce);
	expect("version: 1\nmodules: { mode: enforce }\n", RENDERED_OTHER_POLICY,
	       "of another policy: run tdx-authctl modules render");
	expect("version: 1\nmodules: { mode: enforce, allow: [loop] }\nrules:\n"
	       "- { action: allow, driver: e1000, match: { pci: "
	       "{ vendor: 0x8086, device: 0x10d3 } } }\n",
	       RENDERED_OTHER_POLICY, "");
	expect("version: 1\nmodules: { mode: enforce, strict: true, allow: [loop] }\nrules:\n"
	       "- { action: allow, driver: e1000e, match: { pci: "
	       "{ vendor: 0x8086, device: 0x10d3 } } }\n",
	       RENDERED_OTHER_POLICY, "");
	expect("version: 1\ndefaults: { \"*\": deny }\nmodules: { mode: enforce, allow: [loop] }\n"
	       "rules:\n- { action: allow, driver: e1000e, match: { pci: "
	       "{ vendor: 0x8086, device: 0x10d3 } } }\n",
	       RENDERED_OTHER_POLICY, "");
}

static void test_a_policy_that_asks_for_the_same_is_the_same(void **state)
{
	put_rendered(true, "enforce", "", enforce);
	expect("version: 1\nmodules: { allow: [loop, loop], mode: enforce }\nrules:\n"
	       "- { action: deny, match: { usb: { serial: secret } } }\n"
	       "- { name: nic, reason: it is ours, action: allow, driver: e1000e, match: { pci: "
	       "{ device: 0x10d3, vendor: 0x8086 } } }\n",
	       RENDERED_CURRENT, "enforce");
}

static void test_the_owners_files_take_the_place_of_the_vendors(void **state)
{
	put_rendered(false, "enforce", "", enforce);
	expect(enforce, RENDERED_CURRENT, "");
	put_rendered(true, "audit", "", enforce);
	expect(enforce, RENDERED_OTHER_MODE, "audit");
}

static void test_a_kernel_that_nothing_is_rendered_for_is_found(void **state)
{
	_cleanup_free_ char *aliases = NULL, *with = NULL;

	assert_true(asprintf(&aliases, "/lib/modules/%s/modules.alias", uts.release) > 0);
	assert_true(asprintf(&with, MODULE_KERNEL "6.1\\x1b[2J\n" MODULE_KERNEL "%s\n",
			     uts.release) > 0);
	put_rendered(true, "enforce", MODULE_KERNEL "6.1\\x1b[2J\n" MODULE_KERNEL "6.2\n", enforce);
	expect(enforce, RENDERED_CURRENT, ""); /* it has no modules */
	tree_put(aliases, "");
	expect(enforce, RENDERED_OTHER_KERNEL,
	       ", but for: 6.1\\x1b[2J, 6.2; modules that only it has are denied: run tdx-authctl");
	expect(enforce, RENDERED_OTHER_KERNEL, uts.release);
	put_rendered(true, "enforce", with, enforce);
	expect(enforce, RENDERED_CURRENT, "enforce");
}

static void test_what_an_earlier_version_rendered_says_nothing_of_its_policy(void **state)
{
	put_rendered(true, "enforce", "", NULL);
	expect(enforce, RENDERED_UNKNOWN, "cannot be told: run tdx-authctl modules render");
}

static void test_a_file_of_another_hand_takes_nothing_away(void **state)
{
	_cleanup_free_ char *path = NULL;

	put_rendered(true, "enforce", MODULE_KERNEL "6\\q\n", enforce);
	expect(enforce, RENDERED_CURRENT, "");
	assert_true(asprintf(&path, "%s" MODULE_CONFIG_OWNER, tree_root) > 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* nobody ever writes to it */
	expect(enforce, RENDERED_NOTHING, "nothing is rendered");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect(enforce, RENDERED_UNKNOWN, "cannot be told");
	assert_int_equal(rmdir(path), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_has_to_be_rendered_where_nothing_is_kept_out),
		TEST(test_what_is_asked_for_and_not_rendered_is_not_in_force),
		TEST(test_another_mode_is_found),
		TEST(test_a_policy_that_asks_for_other_modules_is_found),
		TEST(test_a_policy_that_asks_for_the_same_is_the_same),
		TEST(test_the_owners_files_take_the_place_of_the_vendors),
		TEST(test_a_kernel_that_nothing_is_rendered_for_is_found),
		TEST(test_what_an_earlier_version_rendered_says_nothing_of_its_policy),
		TEST(test_a_file_of_another_hand_takes_nothing_away),
	};

	return RUN_TESTS("module-rendered", tests);
}
