/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How soon the daemon has its say. Alone on the machine: see meson.build. */

#include "agent-protocol.h"
#include "vmtest.h"

#define NIC "8086:10d3"
#define OWNER "/etc/tdx-auth/policy.d/50-owner.yaml"
#define ALLOW_NIC "/usr/share/tdx-lab/allow-e1000e.yaml"

/* The one test that looks at a clock: the guest's, on which the kernel's two events fell. */
static void test_wanted_device_is_authorized_within_a_second(void **state)
{
	struct vm *vm = vm_up(state, .kernel = "patched", .init = VM_INIT_SYSTEMD,
			      .cmdline = "dev_auth=enforce");
	_cleanup_free_ char *ms = NULL, *device = NULL;

	vm_expect(vm, 0, "install -D -m 644 " ALLOW_NIC " " OWNER);
	vm_expect_soon(vm, "systemctl restart tdx-authd");
	vm_expect(vm, 0, "udevadm settle");

	vm_expect(vm, 0, AGENT_PATH " uevents /run/uevents /run/uevents.pid");
	device = vm_plug_pci(vm, "e1000e,id=nic1,bus=rp1,romfile=", NIC);
	vm_expect_soon(vm, "grep -q '^change@%s$' /run/uevents", device + strlen("/sys"));
	ms = vm_output(vm,
		       "awk -v RS= -v path='DEVPATH=%s' -F '\\n' '{"
		       "  mine = 0; for (i = 1; i <= NF; i++) mine += $i == path;"
		       "  if (!mine) next;"
		       "  split($1, time, \"=\");"
		       "  if (/\\nACTION=add\\n/) added = time[2];"
		       "  if (/\\nACTION=change\\n/ && /\\nAUTHORIZED=1\\n/) { print time[2] - "
		       "added; exit }"
		       "}' /run/uevents",
		       device + strlen("/sys"));
	print_message("# authorized %s ms after the plug\n", ms);
	if (isempty(ms) || atoi(ms) > 1000)
		vm_fail(vm, "authorized %s ms after the plug",
			isempty(ms) ? "never or unknown" : ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(test_wanted_device_is_authorized_within_a_second),
	};

	return RUN_TESTS("latency", tests);
}
