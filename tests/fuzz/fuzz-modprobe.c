/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modprobe-config.h"

#include "fuzz.h"

static void check_softdep(const struct ModprobeLine *line)
{
	const char *pos = line->text, *word;
	bool after = false;
	size_t n;

	while ((word = softdep_next(&pos, &n, &after))) {
		check(n > 0 && word >= line->text && word + n <= line->text + strlen(line->text));
		check(!memchr(word, ' ', n) && !memchr(word, '\t', n));
	}
}

/* The input is a file of modprobe.d, of whoever wrote it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ModprobeConfig config = {0};
	const struct ModprobeLine *lines;
	unsigned last = 0;

	check(modprobe_config_parse(&config, "/etc/modprobe.d/a.conf", (const char *)data, size) ==
	      0);
	lines = config.lines.data;
	for (size_t i = 0; i < config.lines.n; i++) {
		const struct ModprobeLine *line = &lines[i], *other;

		check(*line->name && !strpbrk(line->name, "\t \n"));
		check(!strchr(line->text, '\n'));
		check(line->line > last && line->line <= size + 1);
		last = line->line;
		if (line->command == MODPROBE_SOFTDEP)
			check_softdep(line);
		else
			(void)modprobe_config_refusal(&config, line->name);
		(void)modprobe_config_bar(&config, line->name, &other);
	}
	modprobe_config_done(&config);
	return 0;
}
