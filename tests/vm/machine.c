/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>

#include "agent-protocol.h"
#include "machine.h"

static int find(const struct machine *m, const char *name, char *path)
{
	(void)snprintf(path, PATH_MAX, "%s/%s", m->lab, name);
	if (access(path, R_OK) == 0)
		return 0;
	fprintf(stderr, "lab: %s: %s\nlab: ./dev test vm or ./dev demo lays the lab out\n", path,
		strerror(errno));
	return -ENOENT;
}

static int find_for_kernel(const struct machine *m, const char *name, char *path)
{
	char beside[128];

	(void)snprintf(beside, sizeof(beside), "%s/%s", m->options->kernel, name);
	return find(m, beside, path);
}

static bool is_own(const struct machine *m)
{
	return m->options->init == VM_INIT_OWN;
}

/* What a guest of debian-image.sh has beside its kernel, and the others share. */
static int find_for_init(const struct machine *m, const char *name, char *path)
{
	return is_own(m) ? find_for_kernel(m, name, path) : find(m, name, path);
}

/* The one line of a file beside the kernel. */
static int read_for_kernel(const struct machine *m, const char *name, char *line, int size)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX];
	int r;

	r = find_for_kernel(m, name, path);
	if (r < 0)
		return r;
	f = fopen(path, "re");
	if (!f || !fgets(line, size, f))
		return -ENODATA;
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static void read_accel(const struct machine *m, char *accel, size_t size)
{
	char path[PATH_MAX];
	_cleanup_fclose_ FILE *f = NULL;

	(void)snprintf(path, sizeof(path), "%s/accel", m->lab);
	f = fopen(path, "re");
	if (!f || !fgets(accel, (int)size, f))
		(void)snprintf(accel, size, "tcg");
	accel[strcspn(accel, "\n")] = '\0';
}

/* microvm's own devices are the serial port and virtio-mmio, which it describes on the kernel's
 * command line. */
#define MICROVM "microvm,pcie=off,acpi=off,rtc=off,isa-serial=on"

static void add_board(const struct machine *m, struct arguments *a)
{
	const struct vm_options *o = m->options;
	char accel[16];

	read_accel(m, accel, sizeof(accel));
	arguments_add(a, "qemu-system-x86_64");
	if (o->icount) {
		/* Only software counts, and only in one thread. */
		arguments_option(a, "-accel", "tcg,thread=single");
		arguments_option(a, "-icount", "%s", o->icount);
	} else
		arguments_option(a, "-accel", "%s",
				 streq(accel, "kvm") ? "kvm" : "tcg,thread=multi");
	arguments_option(a, "-cpu", "max");
	arguments_option(a, "-machine", "%s%s%s", o->microvm ? MICROVM : "q35",
			 o->machine ? "," : "", o->machine ? o->machine : "");
	arguments_option(a, "-smp", "%u", o->cpus ? o->cpus : 1);
	arguments_option(a, "-m", "%s", o->memory ? o->memory : is_own(m) ? "1024" : "512");
	if (o->microvm)
		arguments_option(a, "-global", "virtio-mmio.force-legacy=false");
	if (o->acpi_table)
		arguments_option(a, "-acpitable", "file=%s", o->acpi_table);
	arguments_add(a, "-nodefaults");
	arguments_add(a, "-no-user-config");
	/* A guest that panics reboots (panic=-1): QEMU then ends, and the harness sees it. */
	arguments_add(a, "-no-reboot");
	arguments_option(a, "-display", "none");
}

static int add_initrd(const struct machine *m, struct arguments *a)
{
	char path[PATH_MAX];
	int r;

	if (m->options->init != VM_INIT_INITRAMFS && !is_own(m))
		return 0;
	if (m->options->initrd) {
		arguments_option(a, "-initrd", "%s", m->options->initrd);
		return 0;
	}
	r = find_for_init(m, "initramfs", path);
	if (r >= 0)
		arguments_option(a, "-initrd", "%s", path);
	return r;
}

/* A virtio console is a module of Debian's kernels, which have more to say before it is there. */
static const char *console(const struct vm_options *o)
{
	if (o->channel == VM_CHANNEL_SERIAL || (o->init == VM_INIT_OWN && !o->no_serial))
		return "console=ttyS0";
	return "console=hvc0";
}

static int add_boot(const struct machine *m, struct arguments *a)
{
	static const char *const init[] = {
		[VM_INIT_AGENT] = "root=/dev/vda ro init=" AGENT_PATH,
		[VM_INIT_SYSTEMD] = "root=/dev/vda rw systemd.unit=lab.target",
		[VM_INIT_INITRAMFS] = "",
		[VM_INIT_OWN] = NULL,
	};
	const struct vm_options *o = m->options;
	char path[PATH_MAX], own[1024] = "";
	int r;

	r = find_for_kernel(m, "bzImage", path);
	if (r < 0)
		return r;
	arguments_option(a, "-kernel", "%s", path);
	r = add_initrd(m, a);
	if (r >= 0 && is_own(m))
		r = read_for_kernel(m, "cmdline", own, sizeof(own));
	if (r < 0)
		return r;
	arguments_option(
		/* Without hardware virtualisation a busy host lets the kernel's check of its timer
		 * interrupt run out of time, and the kernel panics. */
		a, "-append", "%s%s panic=-1 no_timer_check %s%s %s",
		o->no_serial ? "" : "earlycon=uart8250,io,0x3f8 ", console(o),
		is_own(m) ? own : init[o->init],
		o->channel == VM_CHANNEL_SERIAL
			? " lab.agent=/dev/ttyS1 dev_auth.allow=acpi:PNP0501,platform:serial8250"
			: "",
		o->cmdline ? o->cmdline : "");
	return 0;
}

#define OVMF_CODE "/usr/share/OVMF/OVMF_CODE_4M.fd"
#define OVMF_VARS "/usr/share/OVMF/OVMF_VARS_4M.fd"

/* Of package ovmf. What the firmware notes in its variables is lost, so it always finds the guest's
 * disk by itself, and has no parameters for what it starts. The stub that this is takes more from a
 * host, except from that of a confidential guest: systemd-stub(7). */
static int add_firmware(const struct machine *m, struct arguments *a)
{
	const struct vm_options *o = m->options;
	char path[PATH_MAX];
	int r = find_for_kernel(m, "esp", path);

	if (r < 0)
		return r;
	arguments_option(a, "-drive", "file=%s,if=pflash,unit=0,format=raw,readonly=on", OVMF_CODE);
	arguments_option(a, "-drive", "file=%s,if=pflash,unit=1,format=raw,snapshot=on", OVMF_VARS);
	arguments_option(a, "-drive", "file=%s,if=none,id=esp,format=raw,readonly=on", path);
	arguments_option(a, "-device", "virtio-blk-pci,id=espdisk,drive=esp,bootindex=1");
	if (o->cmdline)
		arguments_option(a, "-smbios",
				 "type=11,value=io.systemd.stub.kernel-cmdline-extra=%s",
				 o->cmdline);
	return 0;
}

/* The name of a virtio device model on this machine. */
static const char *transport(const struct machine *m)
{
	return m->options->microvm ? "device" : "pci";
}

/* One log for the early console and the real one: the kernel hands over from one to the other. */
static void add_console(const struct machine *m, struct arguments *a)
{
	const struct vm_options *o = m->options;

	if (m->agent_fd < 0)
		arguments_option(a, "-chardev", "stdio,id=log,mux=on,signal=off,logfile=%s",
				 m->log);
	else
		arguments_option(a, "-chardev", "file,id=log,path=%s,mux=on", m->log);
	if (!o->no_serial)
		arguments_option(a, "-serial", "chardev:log");
	arguments_option(a, "-device", "virtio-serial-%s,id=vserial", transport(m));
	arguments_option(a, "-device", "virtconsole,chardev=log");
	if (m->agent_fd < 0)
		return;
	arguments_option(a, "-chardev", "socket,id=agent,fd=%d", m->agent_fd);
	if (o->channel == VM_CHANNEL_SERIAL)
		arguments_option(a, "-serial", "chardev:agent");
	else
		arguments_option(a, "-device", "virtserialport,chardev=agent,name=" AGENT_PORT);
}

/* The root disk shows a transitional virtio device, the network card a modern one. */
static int add_disk_and_network(const struct machine *m, struct arguments *a)
{
	char path[PATH_MAX];
	int r;

	if (!m->options->disk) {
		r = find_for_init(m, "rootfs.ext4", path);
		if (r < 0)
			return r;
	}
	arguments_option(a, "-drive", "file=%s,format=raw,if=none,id=root,snapshot=%s",
			 m->options->disk ? m->options->disk : path,
			 m->options->keeps ? "off" : "on");
	arguments_option(a, "-device", "virtio-blk-%s,id=rootdisk,drive=root", transport(m));
	if (m->options->microvm)
		return 0;
	arguments_option(a, "-netdev", "user,id=network,restrict=on");
	arguments_option(a, "-device",
			 "virtio-net-pci,id=nic,netdev=network,disable-legacy=on,romfile=");
	return 0;
}

static void add_slots(const struct machine *m, struct arguments *a)
{
	for (int i = 1; !m->options->microvm && i <= VM_SLOTS; i++)
		arguments_option(a, "-device", "pcie-root-port,id=rp%d,chassis=%d,slot=%d", i, i,
				 i);
	for (int i = 1; i <= VM_DISKS; i++)
		arguments_option(a, "-blockdev", "null-co,node-name=null%d,size=67108864", i);
}

int machine_arguments(const struct machine *m, struct arguments *a)
{
	const struct vm_options *o = m->options;
	int r;

	add_board(m, a);
	r = o->firmware ? add_firmware(m, a) : add_boot(m, a);
	if (r < 0)
		return r;
	add_console(m, a);
	r = add_disk_and_network(m, a);
	if (r < 0)
		return r;
	add_slots(m, a);
	if (o->trace) {
		arguments_option(a, "-trace", "pci_cfg_*");
		arguments_option(a, "-trace", "memory_region_ops_*");
		arguments_option(a, "-D", "%s", m->trace);
	}
	for (size_t i = 0; o->devices && o->devices[i]; i++)
		arguments_option(a, "-device", "%s", o->devices[i]);
	for (size_t i = 0; o->arguments && o->arguments[i]; i++)
		arguments_add(a, "%s", o->arguments[i]);
	if (m->qmp_fd >= 0) {
		arguments_option(a, "-chardev", "socket,id=qmp,fd=%d", m->qmp_fd);
		arguments_option(a, "-mon", "chardev=qmp,mode=control");
	}
	return a->failed ? -ENOMEM : 0;
}

_Noreturn void machine_become(const struct arguments *a, const int *fds, size_t n, pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	for (size_t i = 0; i < n; i++)
		(void)fcntl(fds[i], F_SETFD, 0);
	/* A test's report is on stdout. */
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)execvp(a->v[0], a->v);
	fprintf(stderr, "lab: %s: %s\n", a->v[0], strerror(errno));
	_exit(127);
}
