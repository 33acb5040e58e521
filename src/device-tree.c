/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device-tree.h"

#include <errno.h>

#include "util.h"

#define NONE SIZE_MAX

struct Tree {
	const struct Inventory *inventory;
	size_t *first, *next; /* of each device: its first child, and the next one of its parent */
	const char *branch, *last, *line, *blank;
	int (*visit)(size_t number, const char *lines, void *userdata);
	void *userdata;
};

static int visit_children(const struct Tree *tree, size_t number, const char *lines);

/* @lines are those of the devices above it. */
static int visit_child(const struct Tree *tree, size_t number, const char *lines)
{
	bool is_last = tree->next[number] == NONE;
	_cleanup_free_ char *own = NULL, *below = NULL;
	int r;

	if (asprintf(&own, "%s%s", lines, is_last ? tree->last : tree->branch) < 0) {
		own = NULL;
		return -ENOMEM;
	}
	if (asprintf(&below, "%s%s", lines, is_last ? tree->blank : tree->line) < 0) {
		below = NULL;
		return -ENOMEM;
	}
	r = tree->visit(number, own, tree->userdata);
	return r ? r : visit_children(tree, number, below);
}

/* The recursion is as deep as devices hang on each other: paths in sysfs end at PATH_MAX. */
static int visit_children(const struct Tree *tree, size_t number, const char *lines)
{
	int r = 0;

	for (size_t child = tree->first[number]; r == 0 && child != NONE; child = tree->next[child])
		r = visit_child(tree, child, lines);
	return r;
}

/* From the last to the first, so that each is put before those that come after it. */
static void link_devices(const struct Tree *tree)
{
	const struct Inventory *inventory = tree->inventory;

	for (size_t i = 0; i < inventory->n; i++)
		tree->first[i] = tree->next[i] = NONE;
	for (size_t i = inventory->n; i-- > 0;) {
		const struct Device *parent = inventory->devices[i]->parent;
		size_t number = parent ? inventory_number(inventory, parent) : NONE;

		if (!parent)
			continue;
		tree->next[i] = tree->first[number];
		tree->first[number] = i;
	}
}

int device_tree_walk(const struct Inventory *inventory, bool is_utf8,
		     int (*visit)(size_t number, const char *lines, void *userdata), void *userdata)
{
	_cleanup_free_ size_t *first = calloc(inventory->n + 1, sizeof(*first)),
			      *next = calloc(inventory->n + 1, sizeof(*next));
	const struct Tree tree = {
		.inventory = inventory,
		.first = first,
		.next = next,
		.branch = is_utf8 ? "├─" : "|-",
		.last = is_utf8 ? "└─" : "`-",
		.line = is_utf8 ? "│ " : "| ",
		.blank = "  ",
		.visit = visit,
		.userdata = userdata,
	};
	int r = 0;

	if (!first || !next)
		return -ENOMEM;
	link_devices(&tree);
	for (size_t i = 0; r == 0 && i < inventory->n; i++) {
		if (inventory->devices[i]->parent)
			continue;
		r = visit(i, "", userdata);
		if (r == 0)
			r = visit_children(&tree, i, "");
	}
	return r;
}
