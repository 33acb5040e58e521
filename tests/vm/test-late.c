/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A device that is authorized late is none the worse for it: what the kernel and its driver made of
 * it is compared, byte by byte, with what they make of one that was authorized from the start. */

#include "agent-protocol.h"
#include "vmtest.h"

#define WRITE AGENT_PATH " write"

static const struct {
	const char *device, *ids;
	/* What is true in its directory when its driver has finished; NULL: it gets none. */
	const char *ready;
} devices[] = {
	{"nvme,serial=x,drive=null1,bus=rp1", "1b36:0010", "[ $(cat nvme/nvme*/state) = live ]"},
	{"qemu-xhci,id=xhci,bus=rp2", "1b36:000d", "[ -e usb2 ]"},
	/* SR-IOV, whose BARs are assigned with all others */
	{"nvme,serial=y,subsys=subsys,use-intel-id=on,bus=rp4,sriov_max_vfs=2,sriov_vq_flexible=4,"
	 "sriov_vi_flexible=2",
	 "8086:5845", "[ $(cat nvme/nvme*/state) = live ]"},
	/* a ROM, legacy ranges */
	{"VGA,addr=0x10", "1234:1111", NULL},
	/* ports, no PCI Express */
	{"e1000,addr=0x11", "8086:100e", "[ -e net/* ]"},
	/* final fixups that write to the device; no driver in this kernel */
	{"i82550,addr=0x12,romfile=", "8086:1209", NULL},
};
#define N ELEMENTSOF(devices)
/* AER, MSI-X, and it comes later */
#define PLUGGED "e1000e,id=nic1,bus=rp3"
#define PLUGGED_IDS "8086:10d3"

#define ALL                                                                                        \
	"pci:1b36:0010,pci:1b36:000d,pci:8086:5845,pci:1234:1111,pci:8086:100e,pci:8086:1209,"     \
	"pci:8086:10d3"

enum moment {
	EARLY,
	LATE,
};

/* What sysfs says of a device. Not what counts or names in order of time: interrupts, uevents. */
#define SIGHT                                                                                      \
	"cd %s; od -An -v -tx1 config; cat resource; ls; ls msi_irqs | wc -l; "                    \
	"grep -s . aer_* sriov_* enable reset_method msi_bus boot_vga power_state d3cold_allowed " \
	"dma_mask_bits consistent_dma_mask_bits current_link_* max_link_* ari_enabled numa_node "  \
	"broken_parity_status resource*_resize; "                                                  \
	"[ ! -e rom ] || { echo 1 > rom && md5sum < rom && echo 0 > rom; }"

/* Whether a VF can be had, and where it is. What a blocked one shows in its flags is left out: in
 * one of the guests it is authorized like its PF. */
#define VF                                                                                         \
	"cd %s; echo 0 > sriov_drivers_autoprobe; echo 1 > sriov_numvfs; echo $?; "                \
	"cat virtfn0/vendor && cut -d' ' -f1-2 virtfn0/resource; echo 0 > sriov_numvfs; :"

struct sights {
	char *paths[N + 1], *texts[N + 1], *vf;
};

static void sights_done(struct sights *s)
{
	for (size_t i = 0; i <= N; i++) {
		free(s->paths[i]);
		free(s->texts[i]);
	}
	free(s->vf);
}

static void wait_for_drivers(struct vm *vm, const struct sights *s)
{
	for (size_t i = 0; i < N; i++)
		if (devices[i].ready)
			vm_expect_soon(vm, "cd %s && %s", s->paths[i], devices[i].ready);
	vm_expect_soon(vm, "[ -e %s/net/* ]", s->paths[N]);
}

static struct sights look(void **state, enum moment moment, bool sleeps)
{
	const char *arguments[N + 2] = {"nvme-subsys,id=subsys"};
	struct sights s = {0};
	struct vm *vm;

	for (size_t i = 0; i < N; i++)
		arguments[i + 1] = devices[i].device;
	vm = vm_up(state, .kernel = "patched", .devices = arguments,
		   .cmdline = moment == EARLY ? "dev_auth=enforce dev_auth.allow=" ALL
					      : "dev_auth=enforce");
	vm_expect(vm, 0, "modprobe -a nvme e1000 e1000e");
	for (size_t i = 0; i < N; i++)
		s.paths[i] = vm_find_pci(vm, devices[i].ids);
	s.paths[N] = vm_plug_pci(vm, PLUGGED, PLUGGED_IDS);
	if (moment == EARLY)
		wait_for_drivers(vm, &s);
	if (sleeps)
		assert_int_equal(vm_suspend(vm, 0), 0);
	for (size_t i = 0; moment == LATE && i <= N; i++) {
		vm_expect_output(vm, "0", "cat %s/authorized", s.paths[i]);
		/* where there is a port above: to be reset while blocked makes no difference */
		vm_expect(
			vm, 0,
			"cd %s; [ ! -e ../reset_subordinate ] || echo 1 > ../reset_subordinate; :",
			s.paths[i]);
		vm_expect(vm, 0, WRITE " %s/authorized 1", s.paths[i]);
	}
	wait_for_drivers(vm, &s);
	for (size_t i = 0; i <= N; i++)
		s.texts[i] = vm_output(vm, SIGHT, s.paths[i]);
	s.vf = vm_output(vm, VF, s.paths[2]);
	return s;
}

static void compare(void **state, bool sleeps)
{
	struct sights early = look(state, EARLY, sleeps), late = look(state, LATE, sleeps);

	for (size_t i = 0; i <= N; i++) {
		assert_string_equal(late.paths[i], early.paths[i]);
		assert_string_equal(late.texts[i], early.texts[i]);
	}
	assert_string_equal(late.vf, early.vf);
	/* After sleep SeaBIOS leaves off the window of extended config space, for all devices. */
	if (!sleeps)
		assert_int_equal(early.vf[0], '0');
	sights_done(&early);
	sights_done(&late);
}

static void test_late_is_as_good_as_early(void **state)
{
	compare(state, false);
}

static void test_late_is_as_good_as_early_after_sleep(void **state)
{
	compare(state, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		vm_test(test_late_is_as_good_as_early),
	};
	static const struct CMUnitTest all[] = {
		vm_test(test_late_is_as_good_as_early),
		vm_test(test_late_is_as_good_as_early_after_sleep),
	};

	if (!isempty(getenv("TDX_AUTH_LONG")))
		return RUN_TESTS("late", all);
	return RUN_TESTS("late", tests);
}
