/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-list.h"

#include <errno.h>

#include "module-tree.h"
#include "string-list.h"

static void test_modules_have_their_dependencies(void **state)
{
	struct ModuleList list;
	const struct Module *module;

	tree_put("/lib/modules/1/modules.dep",
		 "kernel/fs/b-c.ko.xz: kernel/lib/a.ko kernel/d.ko.zst\n"
		 "kernel/lib/a.ko:\nkernel/d.ko.zst: \n");
	tree_put("/lib/modules/1/modules.alias", "");
	tree_put("/lib/modules/1/modules.builtin", "kernel/drivers/e-f.ko\nkernel/lib/a.ko\n");
	assert_int_equal(module_list_read(tree_root, "1", &list), 0);
	assert_int_equal(list.n, 4);
	module = module_list_find(&list, "b-c");
	assert_non_null(module);
	assert_string_equal(module->name, "b_c");
	assert_string_equal(module->path, "kernel/fs/b-c.ko.xz");
	assert_int_equal(module->n_needs, 2);
	assert_string_equal(list.modules[module->needs[0]].name, "a");
	assert_string_equal(list.modules[module->needs[1]].name, "d");
	/* what can be loaded goes before what is built in */
	assert_false(module_list_find(&list, "a")->is_builtin);
	assert_true(module_list_find(&list, "e_f")->is_builtin);
	assert_null(module_list_find(&list, "b"));
	assert_false(list.has_initcalls);
	module_list_done(&list);
}

static void test_what_devices_find_by_an_alias_is_told(void **state)
{
	static const struct {
		const char *name;
		bool is_for_devices;
	} modules[] = {{"virtio_fs", true}, {"button", true}, {"fuse", false}, {"aes", false},
		       {"set_ip", false},   {"crc", false},   {"none", false}};
	struct ModuleList list;

	tree_put("/lib/modules/1/modules.dep",
		 "kernel/fs/virtio-fs.ko:\nkernel/b/button.ko:\nkernel/fs/fuse.ko:\n"
		 "kernel/crypto/aes.ko:\nkernel/net/set_ip.ko:\nkernel/crypto/crc.ko:\n"
		 "kernel/none.ko:\n");
	tree_put("/lib/modules/1/modules.alias",
		 "# Aliases\nalias fs-virtiofs virtio_fs\nalias virtio:d0000001Av* virtio_fs\n"
		 "alias acpi*:PNP0C0C:* button\nalias devname:fuse fuse\nalias fs-fuse fuse\n"
		 "alias cpu:type:x86,ven*fam*mod*:feature:*0099* aes\nalias ip_set_hash:ip set_ip\n"
		 "alias crypto-crc crc\nalias pci:v* gone\nalias\nalias x\n");
	assert_int_equal(module_list_read(tree_root, "1", &list), 0);
	for (size_t i = 0; i < ELEMENTSOF(modules); i++)
		assert_int_equal(module_list_find(&list, modules[i].name)->is_for_devices,
				 modules[i].is_for_devices);
	module_list_done(&list);
}

static void test_init_functions_are_read_from_the_symbols(void **state)
{
	struct ModuleList list;
	const struct Module *module;

	tree_put("/lib/modules/1/modules.dep", "");
	tree_put("/lib/modules/1/modules.alias", "");
	tree_put("/lib/modules/1/modules.builtin",
		 "kernel/drivers/tpm_tis.ko\nkernel/drivers/a__b.ko\nkernel/drivers/none.ko\n");
	tree_put("/boot/System.map-1",
		 "ffffffff1 d __initcall__kmod_tpm_tis__312_1234_init_tis6\n"
		 "ffffffff2 d __initcall__kmod_tpm_tis__313_12_late__12_init7s\n"
		 "ffffffff3 d __initcall__kmod_a__b__1_2_ab4\n"
		 "ffffffff4 d __initcall__kmod_a__b__1_2_earlyearly\n"
		 "ffffffff5 d __initcall__kmod_x\nffffffff6 d __initcall__kmod_a__b__\n"
		 "ffffffff7 t __initcall__kmod_a__b__9_\nffffffff8 t other\n\n");
	assert_int_equal(module_list_read(tree_root, "1", &list), 0);
	assert_true(list.has_initcalls);
	module = module_list_find(&list, "tpm_tis");
	assert_int_equal(module->initcalls.n, 2);
	assert_string_equal(string_at(&module->initcalls, 0), "init_tis");
	assert_string_equal(string_at(&module->initcalls, 1), "late__12_init");
	module = module_list_find(&list, "a__b");
	assert_int_equal(module->initcalls.n, 1);
	assert_string_equal(string_at(&module->initcalls, 0), "ab");
	assert_int_equal(module_list_find(&list, "none")->initcalls.n, 0);
	module_list_done(&list);
}

static void expect_error(const char *version, int error)
{
	struct ModuleList list;

	assert_int_equal(module_list_read(tree_root, version, &list), error);
	module_list_done(&list);
}

static void test_what_is_no_kernel_is_an_error(void **state)
{
	expect_error("1", -ENOENT);
	tree_put("/lib/modules/1/x", "");
	expect_error("1", -ENODATA);
	expect_error("../../lib/modules/1", -ENOENT);
	expect_error("..", -ENOENT);
	tree_put("/lib/modules/1/modules.dep", "no colon\n");
	expect_error("1", -EBADMSG);
	tree_put("/lib/modules/1/modules.dep", "a.ko: b.ko\n");
	expect_error("1", -EBADMSG);
	tree_put("/lib/modules/2/modules.dep", "");
	expect_error("2", -ENODATA);
	tree_put("/lib/modules/2/modules.alias", "");
	expect_error("2", 0);
}

static void test_kernels_are_found_in_the_order_of_their_versions(void **state)
{
	_cleanup_strings_ struct Vector versions = {0};

	assert_int_equal(module_list_versions(tree_root, &versions, NULL), -ENOENT);
	tree_put("/lib/modules/6.9.0/build", ""); /* what is left of one that is gone */
	assert_int_equal(module_list_versions(tree_root, &versions, NULL), -ENODATA);
	tree_put("/lib/modules/6.10.0/modules.dep", "");
	tree_put("/lib/modules/6.2.0/modules.dep", "");
	tree_put("/lib/modules/.hidden/modules.dep", "");
	assert_int_equal(module_list_versions(tree_root, &versions, NULL), 0);
	assert_int_equal(versions.n, 2);
	assert_string_equal(string_at(&versions, 0), "6.2.0");
	assert_string_equal(string_at(&versions, 1), "6.10.0");
}

static void test_a_kernel_whose_modules_have_no_list_is_told(void **state)
{
	_cleanup_strings_ struct Vector versions = {0}, incomplete = {0};

	tree_put("/lib/modules/1/modules.dep", "");
	tree_put("/lib/modules/1/kernel/fs/a.ko", "");
	tree_put("/lib/modules/10/kernel/fs/a.ko", "");
	tree_put("/lib/modules/9/updates/a.ko", "");
	tree_put("/lib/modules/8/modules.order", ""); /* what is left of one that is gone */
	assert_int_equal(module_list_versions(tree_root, &versions, &incomplete), 0);
	assert_int_equal(versions.n, 1);
	assert_int_equal(incomplete.n, 2);
	assert_string_equal(string_at(&incomplete, 0), "9");
	assert_string_equal(string_at(&incomplete, 1), "10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modules_have_their_dependencies, tree_make,
						tree_remove),
		cmocka_unit_test_setup_teardown(test_what_devices_find_by_an_alias_is_told,
						tree_make, tree_remove),
		cmocka_unit_test_setup_teardown(test_init_functions_are_read_from_the_symbols,
						tree_make, tree_remove),
		cmocka_unit_test_setup_teardown(test_what_is_no_kernel_is_an_error, tree_make,
						tree_remove),
		cmocka_unit_test_setup_teardown(
			test_kernels_are_found_in_the_order_of_their_versions, tree_make,
			tree_remove),
		cmocka_unit_test_setup_teardown(test_a_kernel_whose_modules_have_no_list_is_told,
						tree_make, tree_remove),
	};

	return RUN_TESTS("module-list", tests);
}
