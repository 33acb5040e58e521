/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "catalogue.h"

#include <errno.h>
#include <fnmatch.h>

#define LINE_MAX_BYTES 1024

struct setting {
	struct setting *next;
	char *key, *value;
};

struct model_entry {
	struct model_entry *next;
	char *pattern;
	struct setting *settings;
};

static const char *const backend_keys[] = {"object", "chardev",	 "blockdev",
					   "fsdev",  "audiodev", "device"};
static const char *const other_keys[] = {"properties", "after",	 "machine", "alone", "skip",
					 "needs",      "unseen", "cold",    "shows"};

static bool is_one_of(const char *key, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(key, keys[i]))
			return true;
	return false;
}

static bool is_backend(const char *key)
{
	return is_one_of(key, backend_keys, ELEMENTSOF(backend_keys));
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

/* Returns the last one's link, so that the order is the file's. */
static struct setting **last_setting(struct model_entry *entry)
{
	struct setting **link = &entry->settings;

	while (*link)
		link = &(*link)->next;
	return link;
}

static int add_setting(struct model_entry *entry, char *line)
{
	char *value = strchr(line, '='), *key;
	struct setting *setting;

	if (!entry || !value)
		return -EINVAL;
	*value++ = '\0';
	key = trim(line);
	if (!is_backend(key) && !is_one_of(key, other_keys, ELEMENTSOF(other_keys)))
		return -EINVAL;
	setting = calloc(1, sizeof(*setting));
	if (!setting)
		return -ENOMEM;
	*last_setting(entry) = setting;
	setting->key = strdup(key);
	setting->value = strdup(trim(value));
	return setting->key && setting->value ? 0 : -ENOMEM;
}

static int begin_entry(struct model_entry ***link, const char *line)
{
	size_t n = strlen(line);
	struct model_entry *entry;

	if (n < 3 || line[n - 1] != ']')
		return -EINVAL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	**link = entry;
	*link = &entry->next;
	entry->pattern = strndup(line + 1, n - 2);
	return entry->pattern ? 0 : -ENOMEM;
}

static int read_entries(const char *path, struct model_entry **ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct model_entry **link = ret, *entry = NULL;
	char buffer[LINE_MAX_BYTES], *line;
	int r;

	if (!f) {
		r = -errno;
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return r;
	}
	for (int number = 1; fgets(buffer, sizeof(buffer), f); number++) {
		line = trim(buffer);
		if (*line == '\0' || *line == '#')
			continue;
		if (*line == '[') {
			struct model_entry **here = link;

			r = begin_entry(&link, line);
			entry = *here;
		} else
			r = add_setting(entry, line);
		if (r < 0) {
			fprintf(stderr, "%s:%d: %s\n", path, number, strerror(-r));
			return r;
		}
	}
	return 0;
}

static const struct model_entry *find_entry(const struct catalogue *catalogue, const char *name)
{
	const struct model_entry *entry = catalogue->entries;

	while (entry && fnmatch(entry->pattern, name, 0) != 0)
		entry = entry->next;
	return entry;
}

static int add_model(struct catalogue *catalogue, const char *name, const char *bus)
{
	static const char *const buses[_MODEL_BUS_MAX] = {
		[MODEL_PCI] = "PCI", [MODEL_USB] = "usb-bus", [MODEL_VIRTIO] = "virtio-bus"};
	struct model *bigger, *model;

	for (int i = 0; i < _MODEL_BUS_MAX; i++) {
		if (!streq(bus, buses[i]))
			continue;
		bigger = reallocarray(catalogue->models, catalogue->n + 1, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		catalogue->models = bigger;
		model = &bigger[catalogue->n++];
		*model = (struct model){.bus = (enum model_bus)i,
					.entry = find_entry(catalogue, name)};
		(void)snprintf(model->name, sizeof(model->name), "%s", name);
	}
	return 0;
}

static int read_models(struct catalogue *catalogue)
{
	char line[LINE_MAX_BYTES], name[64], bus[32];
	FILE *help = popen("qemu-system-x86_64 -device help 2>/dev/null", "re");
	int r = 0;

	if (!help)
		return -errno;
	while (r >= 0 && fgets(line, sizeof(line), help))
		if (sscanf(line, "name \"%63[^\"]\", bus %31[^,\n]", name, bus) == 2)
			r = add_model(catalogue, name, bus);
	if (pclose(help) != 0 || catalogue->n == 0) {
		fprintf(stderr, "qemu-system-x86_64 lists no device models\n");
		return -EIO;
	}
	return r;
}

int catalogue_load(const char *path, struct catalogue *ret)
{
	int r;

	*ret = (struct catalogue){0};
	r = read_entries(path, &ret->entries);
	if (r < 0)
		return r;
	return read_models(ret);
}

void catalogue_done(struct catalogue *catalogue)
{
	struct model_entry *entry;
	struct setting *setting;

	while ((entry = catalogue->entries)) {
		catalogue->entries = entry->next;
		while ((setting = entry->settings)) {
			entry->settings = setting->next;
			free(setting->key);
			free(setting->value);
			free(setting);
		}
		free(entry->pattern);
		free(entry);
	}
	free(catalogue->models);
	*catalogue = (struct catalogue){0};
}

const char *model_setting(const struct model *model, const char *key)
{
	if (!model->entry)
		return NULL;
	for (const struct setting *s = model->entry->settings; s; s = s->next)
		if (streq(s->key, key))
			return s->value;
	return NULL;
}

bool model_has_bus(const struct model *model)
{
	const char *properties = model_setting(model, "properties");

	return properties && (startswith(properties, "bus=") || strstr(properties, ",bus="));
}

/* @text with $id, $number and $dir replaced, for the caller to free. @id is a letter and a number.
 */
static char *expand(const char *text, const char *id, const char *directory)
{
	char *expanded = NULL;
	size_t size;
	FILE *out = open_memstream(&expanded, &size);
	const char *rest;

	if (!out)
		return NULL;
	while (*text) {
		if ((rest = startswith(text, "$id")))
			fputs(id, out);
		else if ((rest = startswith(text, "$number")))
			fputs(id + 1, out);
		else if ((rest = startswith(text, "$dir")))
			fputs(directory, out);
		else {
			rest = text + 1;
			fputc(*text, out);
		}
		text = rest;
	}
	if (fclose(out) != 0) {
		free(expanded);
		return NULL;
	}
	return expanded;
}

void model_add_backends(const struct model *model, const char *id, const char *directory,
			struct arguments *a)
{
	if (!model->entry)
		return;
	for (const struct setting *s = model->entry->settings; s; s = s->next) {
		_cleanup_free_ char *value = NULL;

		if (!is_backend(s->key))
			continue;
		value = expand(s->value, id, directory);
		if (!value)
			a->failed = true;
		else {
			arguments_add(a, "-%s", s->key);
			arguments_add(a, "%s", value);
		}
	}
}

char *model_device(const struct model *model, const char *id, const char *where)
{
	const char *properties = model_setting(model, "properties");
	_cleanup_free_ char *expanded = expand(properties ? properties : "", id, "");
	char *device;

	if (!expanded)
		return NULL;
	if (model_has_bus(model))
		where = "";
	if (asprintf(&device, "%s,id=%s%s%s%s%s", model->name, id, isempty(where) ? "" : ",",
		     where ? where : "", isempty(expanded) ? "" : ",", expanded) < 0)
		return NULL;
	return device;
}

char *model_device_after(const struct model *model, const char *id)
{
	const char *after = model_setting(model, "after");

	return after ? expand(after, id, "") : NULL;
}
