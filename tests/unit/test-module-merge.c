/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-merge.h"

#include "module-tree.h"
#include "policy-of.h"
#include "string-list.h"

#define V "version: 1\n"

/* Two kernels, which the test fills. */
static struct KernelModules kernels[2];
static struct ModuleList list;
static struct ModuleVerdict *verdicts;
static struct Vector notes;

/* An alias is "fits-" and the module's name, in the second kernel "fits2-", too. */
static int resolve(const char *alias, char ***ret, void *userdata)
{
	const char *name = startswith(alias, "fits-");

	if (!name && userdata == &kernels[1])
		name = startswith(alias, "fits2-");
	*ret = calloc(2, sizeof(**ret));
	(*ret)[0] = name ? strdup(name) : NULL;
	return 0;
}

static void forget(void)
{
	module_verdicts_free(verdicts, list.n);
	module_list_done(&list);
	for (size_t i = 0; i < ELEMENTSOF(kernels); i++) {
		kernel_modules_done(&kernels[i]);
		kernels[i] = (struct KernelModules){0};
	}
	strings_done(&notes);
}

static int teardown(void **state)
{
	forget();
	verdicts = NULL;
	return tree_remove(state);
}

static void judge_kernel(struct KernelModules *kernel, const char *version, const char *softdeps,
			 const struct Policy *policy, struct Device *device)
{
	struct Decision decision = {0};
	struct ModuleQuestion question = {.policy = policy,
					  .list = &kernel->list,
					  .config = &kernel->config,
					  .devices = &device,
					  .decisions = &decision,
					  .n_devices = device ? 1 : 0,
					  .resolve = resolve,
					  .userdata = kernel};
	char path[64];

	(void)snprintf(path, sizeof(path), "/lib/modules/%s/modules.alias", version);
	tree_put(path, "");
	assert_int_equal(module_list_read(tree_root, version, &kernel->list), 0);
	assert_int_equal(modprobe_config_parse(&kernel->config, "modules.softdep", softdeps,
					       strlen(softdeps)),
			 0);
	if (device)
		policy_decide(policy, device, NULL, &decision);
	assert_int_equal(modules_judge(&question, &kernel->verdicts, &notes), 0);
}

static void judge(const char *text, const char *softdeps, struct Device *device)
{
	_cleanup_policy_ struct Policy *policy = policy_of(text);

	judge_kernel(&kernels[0], "1", softdeps, policy, device);
	judge_kernel(&kernels[1], "2", "", policy, device);
	strings_done(&notes);
	assert_int_equal(modules_merge(kernels, 2, &list, &verdicts, &notes), 0);
}

static void expect(const char *name, enum ModuleReason reason, const char *why)
{
	const struct Module *module = module_list_find(&list, name);
	const struct ModuleVerdict *verdict;
	_cleanup_free_ char *text = NULL;

	assert_non_null(module);
	verdict = &verdicts[module_number(&list, module)];
	text = module_verdict_why(verdict);
	if (verdict->reason != reason || !strstr(text, why))
		fail_msg("%s: %s, %s", name, module_reason_to_string(verdict->reason), text);
}

#define STRICT V "defaults: { \"*\": deny }\nmodules: { strict: true, allow: [good, \"one_*\"] }\n"

static void test_a_driver_of_one_kernel_alone_is_judged_by_that_one(void **state)
{
	tree_put("/lib/modules/1/modules.dep",
		 "kernel/drivers/good.ko:\nkernel/drivers/one_a.ko:\nkernel/drivers/old.ko:\n");
	tree_put("/lib/modules/2/modules.dep",
		 "kernel/drivers/good.ko:\nkernel/drivers/one_b.ko:\nkernel/drivers/new.ko:\n");
	judge(STRICT, "", NULL);
	assert_int_equal(list.n, 5);
	expect("good", MODULE_LISTED, "\"good\"");
	expect("one_a", MODULE_LISTED, "one_*");
	expect("one_b", MODULE_LISTED, "one_*");
	expect("old", MODULE_DENIED, "nothing in the policy needs it");
	expect("new", MODULE_DENIED, "nothing in the policy needs it");
	assert_int_equal(notes.n, 0);
}

static void test_what_one_kernel_denies_is_denied_and_told(void **state)
{
	struct Device device = {.bus = BUS_PCI,
				.syspath = (char *)"/sys/devices/pci0000:00/0000:00:03.0",
				.modalias = (char *)"fits2-nic"};

	tree_put("/lib/modules/1/modules.dep",
		 "kernel/drivers/nic.ko:\nkernel/drivers/mover.ko:\n");
	tree_put("/lib/modules/2/modules.dep", "kernel/drivers/nic.ko:\nkernel/lib/mover.ko:\n");
	judge(V "defaults: { \"*\": allow }\n", "", &device);
	expect("nic", MODULE_DENIED, "the kernel 1 denies it: nothing in the policy needs it");
	/* it became a library */
	expect("mover", MODULE_DENIED, "the kernel 1 denies it");
	assert_int_equal(notes.n, 2);
	assert_non_null(
		strstr(string_at(&notes, 0), "mover would be allowed in the kernel 2 (no "));
	assert_non_null(strstr(string_at(&notes, 1), "nic would be allowed in the kernel 2 (for "));
}

static void test_what_an_allowed_module_needs_in_one_kernel_is_allowed_in_both(void **state)
{
	tree_put("/lib/modules/1/modules.dep",
		 "kernel/drivers/good.ko: kernel/drivers/lib.ko kernel/drivers/base.ko\n"
		 "kernel/drivers/lib.ko: kernel/drivers/base.ko\nkernel/drivers/base.ko:\n"
		 "kernel/drivers/soft.ko:\nkernel/drivers/other.ko:\n");
	tree_put("/lib/modules/2/modules.dep",
		 "kernel/drivers/good.ko:\nkernel/drivers/lib.ko:\nkernel/drivers/base.ko:\n"
		 "kernel/drivers/soft.ko:\nkernel/drivers/other.ko: kernel/drivers/lib.ko\n");
	judge(STRICT, "softdep good pre: soft\n", NULL);
	expect("good", MODULE_LISTED, "");
	expect("lib", MODULE_NEEDED, "good of the kernel 1");
	expect("base", MODULE_NEEDED, "good of the kernel 1");
	expect("soft", MODULE_SOFT, "good of the kernel 1");
	expect("other", MODULE_DENIED, "nothing");
	assert_int_equal(notes.n, 0);
}

static void test_what_is_no_driver_brings_none_with_it_that_the_other_kernel_denies(void **state)
{
	struct Device device = {.bus = BUS_PCI,
				.syspath = (char *)"/sys/devices/pci0000:00/0000:00:03.0",
				.modalias = (char *)"fits2-guest"};

	tree_put("/lib/modules/1/modules.dep",
		 "kernel/fs/guestfs.ko:\nkernel/drivers/guest.ko:\nkernel/fs/plain.ko:\n");
	tree_put("/lib/modules/2/modules.dep", "kernel/fs/guestfs.ko: kernel/drivers/guest.ko\n"
					       "kernel/drivers/guest.ko:\nkernel/fs/plain.ko:\n");
	judge(V "defaults: { \"*\": allow }\n", "", &device);
	expect("guest", MODULE_DENIED, "the kernel 1 denies it");
	expect("guestfs", MODULE_DENIED, "needs guest, which is denied");
	expect("plain", MODULE_OUTSIDE, "");
}

static void test_a_module_of_one_kernel_that_is_built_into_the_other_is_a_module(void **state)
{
	tree_put("/lib/modules/1/modules.dep", "kernel/drivers/good.ko:\nkernel/drivers/bad.ko:\n");
	tree_put("/lib/modules/2/modules.dep", "");
	tree_put("/lib/modules/2/modules.builtin",
		 "kernel/drivers/good.ko\nkernel/drivers/bad.ko\nkernel/drivers/both.ko\n");
	tree_put("/lib/modules/1/modules.builtin", "kernel/drivers/both.ko\n");
	judge(STRICT, "", NULL);
	expect("good", MODULE_LISTED, "");
	expect("bad", MODULE_DENIED, "nothing");
	expect("both", MODULE_BUILTIN, "");
}

static void test_one_kernel_is_itself(void **state)
{
	tree_put("/lib/modules/1/modules.dep",
		 "kernel/drivers/good.ko: kernel/drivers/lib.ko\nkernel/drivers/lib.ko:\n");
	tree_put("/lib/modules/2/modules.dep", "kernel/drivers/b.ko:\n");
	judge(STRICT, "", NULL);
	module_verdicts_free(verdicts, list.n);
	module_list_done(&list);
	assert_int_equal(modules_merge(kernels, 1, &list, &verdicts, &notes), 0);
	assert_int_equal(list.n, 2);
	expect("lib", MODULE_NEEDED, "needed by good");
	assert_int_equal(module_list_find(&list, "good")->n_needs, 1);
}

#define merge_test(name) cmocka_unit_test_setup_teardown(name, tree_make, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		merge_test(test_a_driver_of_one_kernel_alone_is_judged_by_that_one),
		merge_test(test_what_one_kernel_denies_is_denied_and_told),
		merge_test(test_what_an_allowed_module_needs_in_one_kernel_is_allowed_in_both),
		merge_test(test_what_is_no_driver_brings_none_with_it_that_the_other_kernel_denies),
		merge_test(test_a_module_of_one_kernel_that_is_built_into_the_other_is_a_module),
		merge_test(test_one_kernel_is_itself),
	};

	return RUN_TESTS("module-merge", tests);
}
