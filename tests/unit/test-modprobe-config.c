/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modprobe-config.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "io.h"
#include "names.h"
#include "test.h"

static struct ModprobeConfig parsed(const char *text, size_t size)
{
	struct ModprobeConfig config = {0};

	assert_int_equal(modprobe_config_parse(&config, "/etc/modprobe.d/a.conf", text, size), 0);
	return config;
}

#define PARSED(text) parsed(text, sizeof(text) - 1)

/* Fails unless the line that refuses @module is the one at @line, 0 for none. */
static void expect_refused(const struct ModprobeConfig *config, const char *module, unsigned line)
{
	const struct ModprobeLine *found = modprobe_config_refusal(config, module);

	assert_int_equal(found ? found->line : 0, line);
}

static void test_a_blacklist_refuses_its_module_alone(void **state)
{
	struct ModprobeConfig config =
		PARSED("blacklist floppy\nblacklist  snd-pcsp \n"
		       "blacklist usb*\n#blacklist e1000\n blacklist nvme\n");

	expect_refused(&config, "floppy", 1);
	expect_refused(&config, "snd_pcsp", 2);
	expect_refused(&config, "usb_storage", 0); /* it takes no glob */
	expect_refused(&config, "e1000", 0);
	expect_refused(&config, "nvme", 5);
	modprobe_config_done(&config);
}

static void test_an_install_that_loads_nothing_refuses(void **state)
{
	struct ModprobeConfig config = PARSED("install a /bin/true\ninstall b /bin/false # no\n"
					      "install c false\ninstall d :\ninstall e exit 1\n"
					      "install f modprobe g; modprobe -i f\n"
					      "install h /bin/true || /sbin/modprobe -i h\n"
					      "install i-j* /usr/bin/true\ninstall k\n");

	expect_refused(&config, "a", 1);
	expect_refused(&config, "b", 2);
	expect_refused(&config, "c", 3);
	expect_refused(&config, "d", 4);
	expect_refused(&config, "e", 5);
	expect_refused(&config, "f", 0);
	expect_refused(&config, "h", 0);
	expect_refused(&config, "i_jk", 8);
	expect_refused(&config, "k", 0);
	modprobe_config_done(&config);
}

static void test_the_first_install_that_fits_decides(void **state)
{
	struct ModprobeConfig config = PARSED("install ab modprobe -i ab\ninstall a* /bin/false\n");

	expect_refused(&config, "ab", 0);
	expect_refused(&config, "ac", 2);
	modprobe_config_done(&config);
}

static void test_our_own_lines_do_not_count(void **state)
{
	struct ModprobeConfig config = PARSED("install [!x]* " MODULE_GATE "\n"
					      "install [y]? " MODULE_GATE " audit\n"
					      "install b /bin/true\n"
					      "install c " MODULE_GATE "x; true\n");

	expect_refused(&config, "a", 0);
	expect_refused(&config, "b", 3);
	expect_refused(&config, "c", 0);
	modprobe_config_done(&config);
}

static void test_lines_go_on_after_a_backslash(void **state)
{
	struct ModprobeConfig config = PARSED("# one \\\nblacklist a\nblacklist \\\n\\\n  b\n"
					      "inst\\all c \\/bin/true\nblacklist d");

	expect_refused(&config, "a", 0); /* of the comment */
	expect_refused(&config, "b", 3);
	expect_refused(&config, "c", 6);
	expect_refused(&config, "d", 7);
	modprobe_config_done(&config);
}

static void test_any_bytes_are_read(void **state)
{
	static const char bytes[] = "install \xff\xfe[ \x01\nblacklist a\0b\ninstall [ /bin/true\n"
				    "install \\\nblacklist\n\n\\";
	struct ModprobeConfig config = PARSED(bytes);

	expect_refused(&config, "a", 2);
	expect_refused(&config, "", 0);
	modprobe_config_done(&config);
	config = parsed("\\", 1);
	modprobe_config_done(&config);
	config = parsed("", 0);
	modprobe_config_done(&config);
}

static void test_soft_dependencies_are_named(void **state)
{
	struct ModprobeConfig config =
		PARSED("softdep a b pre: c d-e  post: f\nsoftdep g h\nsoftdep i pre:\n");
	const struct ModprobeLine *line = config.lines.data;
	const char *pos = line->text, *name;
	char all[64] = "";
	bool after;
	size_t n;

	while ((name = softdep_next(&pos, &n, &after)))
		(void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%.*s%c", (int)n, name,
			       after ? '>' : '<');
	assert_string_equal(all, "c<d-e<f>");
	pos = line[1].text;
	assert_null(softdep_next(&pos, &n, &after));
	pos = line[2].text;
	assert_null(softdep_next(&pos, &n, &after));
	modprobe_config_done(&config);
}

static void test_the_first_line_on_soft_dependencies_counts(void **state)
{
	struct ModprobeConfig config =
		PARSED("softdep a x\nsoftdep a* pre: b\nsoftdep ac pre: d\n");

	assert_int_equal(modprobe_config_softdep(&config, "a")->line, 1);
	assert_int_equal(modprobe_config_softdep(&config, "ac")->line, 2);
	assert_null(modprobe_config_softdep(&config, "b"));
	modprobe_config_done(&config);
}

/* --- directories --- */

static char root[] = "/tmp/tdx-auth-modprobe-XXXXXX";

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	assert_true(asprintf(&path, "%s%s", root, name) > 0);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
}

static int on_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void test_files_go_by_name_and_the_first_directory_has_it(void **state)
{
	struct ModprobeConfig config = {0};
	const struct ModprobeLine *line;
	char *masked = NULL;

	assert_non_null(mkdtemp(root));
	put("/usr/lib/modprobe.d/a.conf", "blacklist vendor_a\n");
	put("/etc/modprobe.d/a.conf", "\nblacklist a\n");
	put("/usr/lib/modprobe.d/m.conf", "blacklist m\n");
	put("/run/modprobe.d/z.conf", "install x /bin/false\n");
	put("/usr/local/lib/modprobe.d/b.conf", "install x modprobe -i x\n");
	put("/etc/modprobe.d/c.conf.dpkg-old", "blacklist old\n");
	put("/etc/modprobe.d/.d.conf", "blacklist hidden\n");
	put("/etc/modprobe.d/e.conf/f", "a directory\n");
	put("/etc/modprobe.d/00-tdx-auth.conf", "softdep * pre:\n");
	put("/etc/modprobe.d/l.conf", "softdep s pre: l\n");
	put("/etc/modprobe.d/n.conf", "softdep s pre: n\nsoftdep t pre: n\n");
	put("/kernel/modules.softdep", "softdep s pre: k\nsoftdep t pre: k\n");
	assert_true(asprintf(&masked, "%s/etc/modprobe.d/m.conf", root) > 0);
	assert_int_equal(symlink("/dev/null", masked), 0);
	free(masked);
	assert_int_equal(modprobe_config_read(root, "/kernel", &config), 0);
	line = modprobe_config_refusal(&config, "a");
	assert_non_null(line);
	assert_string_equal(line->file, "/etc/modprobe.d/a.conf");
	assert_int_equal(line->line, 2);
	expect_refused(&config, "vendor_a", 0);
	expect_refused(&config, "m", 0);
	expect_refused(&config, "old", 0);
	expect_refused(&config, "hidden", 0);
	expect_refused(&config, "x", 0); /* b.conf is before z.conf */
	/* and modules.softdep between l.conf and n.conf, all behind our own, which does not count
	 */
	assert_string_equal(modprobe_config_softdep(&config, "s")->text, "pre: l");
	assert_string_equal(modprobe_config_softdep(&config, "t")->text, "pre: k");
	modprobe_config_done(&config);
	assert_int_equal(nftw(root, on_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(modprobe_config_read(root, NULL, &config), 0);
	assert_int_equal(config.lines.n, 0);
	modprobe_config_done(&config);
}

static void expect_bar(const struct ModprobeConfig *config, const char *module, unsigned line,
		       unsigned instead)
{
	const struct ModprobeLine *other, *bar = modprobe_config_bar(config, module, &other);

	assert_int_equal(bar ? bar->line : 0, line);
	assert_int_equal(other ? other->line : 0, instead);
}

static void test_what_comes_before_a_bar_has_its_place(void **state)
{
	struct ModprobeConfig config =
		PARSED("install a modprobe -i a\ninstall b /bin/true\nsoftdep c pre: x\n"
		       "softdep d pre:\nsoftdep e post: y\ninstall [!z]* " MODULE_GATE "\n"
		       "install f modprobe -i f\nsoftdep g-h pre: x\nblacklist z\n");

	expect_bar(&config, "a", 0, 1);
	expect_bar(&config, "b", 2, 0);
	expect_bar(&config, "c", 0, 3);
	expect_bar(&config, "d", 6, 0);
	expect_bar(&config, "e", 0, 5);
	expect_bar(&config, "f", 6, 0);
	expect_bar(&config, "g_h", 0, 8); /* wherever it is, there is no other */
	expect_bar(&config, "z", 0, 0);
	modprobe_config_done(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_blacklist_refuses_its_module_alone),
		cmocka_unit_test(test_an_install_that_loads_nothing_refuses),
		cmocka_unit_test(test_the_first_install_that_fits_decides),
		cmocka_unit_test(test_our_own_lines_do_not_count),
		cmocka_unit_test(test_lines_go_on_after_a_backslash),
		cmocka_unit_test(test_any_bytes_are_read),
		cmocka_unit_test(test_soft_dependencies_are_named),
		cmocka_unit_test(test_the_first_line_on_soft_dependencies_counts),
		cmocka_unit_test(test_files_go_by_name_and_the_first_directory_has_it),
		cmocka_unit_test(test_what_comes_before_a_bar_has_its_place),
	};

	return RUN_TESTS("modprobe-config", tests);
}
