/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "module-render.h"

#include <errno.h>
#include <stdint.h>

#include "string-list.h"
#include "util.h"

/* The names are a tree, one character a step. What is not allowed leaves it somewhere:
 *
 *  - by a step that the tree does not have:     P[!abc]*  of the node P, P?* where it has no step
 *  - by ending at a node that is no name itself: P[xyz]   of the node P, whose steps x, y, z those
 * are
 *
 * Siblings from which the same steps go share the first. Most of the second are spared by a third
 * kind, R*[!abc], of a node below which all names end in a, b or c: where to have those is what
 * plan_node() finds. */

#define LENGTH_MAX 63 /* of a name: the kernel's MODULE_NAME_LEN is less */
#define NOWHERE (LENGTH_MAX + 1)

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

typedef uint64_t Set; /* of characters, by their place in the alphabet */

static Set set_of(char c)
{
	return (Set)1 << (strchr(alphabet, c) - alphabet);
}

struct Node {
	uint32_t first, next; /* its first child, its next sibling: numbers, 0 for none */
	Set steps;	      /* to its children */
	Set unnamed;	      /* of these, to those that are no name */
	Set ends;	      /* the last characters of all names below it */
	char c;		      /* by which it is reached */
	bool is_name;
	bool bars_ends; /* planned: has a glob R*[!ends] */
	uint32_t *cost; /* globs below it of which there is a choice, by the depth of the node
			 * above that bars ends, NOWHERE for none; UINT32_MAX: not known yet */
};

struct Tree {
	struct Node *nodes; /* the first is the root */
	size_t n;
	char prefix[LENGTH_MAX + 1];
	const struct Node *above[LENGTH_MAX + 2]; /* on the way to a node, by their depth */
	struct Vector *globs;
};

bool module_name_is_plain(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= LENGTH_MAX && strspn(name, alphabet) == n;
}

/* --- the tree --- */

static uint32_t add_child(struct Tree *tree, uint32_t parent, uint32_t before, char c)
{
	uint32_t number = (uint32_t)tree->n++;

	tree->nodes[number].c = c;
	tree->nodes[parent].steps |= set_of(c);
	if (before)
		tree->nodes[before].next = number;
	else
		tree->nodes[parent].first = number;
	return number;
}

/* Adds what is below @parent: the names, in order, all have its @depth characters in common. */
static void grow(struct Tree *tree, uint32_t parent, const char *const *names, size_t n,
		 size_t depth)
{
	struct Node *self = &tree->nodes[parent];
	uint32_t before = 0;
	size_t i = 0;

	if (n > 0 && !names[0][depth]) {
		self->is_name = true;
		i++;
	}
	while (i < n) {
		size_t first = i;
		char c = names[i][depth];

		while (i < n && names[i][depth] == c)
			i++;
		before = add_child(tree, parent, before, c);
		grow(tree, before, names + first, i - first, depth + 1);
		self->ends |= tree->nodes[before].ends;
		if (tree->nodes[before].is_name)
			self->ends |= set_of(c);
		else
			self->unnamed |= set_of(c);
	}
}

static int tree_make(const char *const *names, size_t n, struct Tree *ret)
{
	size_t most = 1;

	for (size_t i = 0; i < n; i++)
		most += strlen(names[i]);
	ret->nodes = calloc(most, sizeof(*ret->nodes));
	if (!ret->nodes)
		return -ENOMEM;
	ret->n = 1;
	grow(ret, 0, names, n, 0);
	for (size_t i = 0; i < ret->n; i++) {
		ret->nodes[i].cost = malloc((NOWHERE + 1) * sizeof(uint32_t));
		if (!ret->nodes[i].cost)
			return -ENOMEM;
		for (size_t k = 0; k <= NOWHERE; k++)
			ret->nodes[i].cost[k] = UINT32_MAX;
	}
	return 0;
}

static void tree_done(struct Tree *tree)
{
	for (size_t i = 0; tree->nodes && i < tree->n; i++)
		free(tree->nodes[i].cost);
	free(tree->nodes);
}

/* --- the plan --- */

/* The steps to nodes that need a glob of their own, as no node above refuses how they end. */
static Set steps_left(const struct Tree *tree, const struct Node *node, size_t barrier)
{
	return barrier == NOWHERE ? node->unnamed : node->unnamed & tree->above[barrier]->ends;
}

static uint32_t cost_of(struct Tree *tree, struct Node *node, size_t depth, size_t barrier);

static uint32_t cost_with(struct Tree *tree, struct Node *node, size_t depth, size_t barrier)
{
	uint32_t cost = steps_left(tree, node, barrier) ? 1 : 0;

	for (uint32_t i = node->first; i; i = tree->nodes[i].next)
		cost += cost_of(tree, &tree->nodes[i], depth + 1, barrier);
	return cost;
}

/* A barrier further down refuses all that one further up does: below it are fewer names. */
static uint32_t cost_of(struct Tree *tree, struct Node *node, size_t depth, size_t barrier)
{
	uint32_t without, with;

	if (node->cost[barrier] != UINT32_MAX)
		return node->cost[barrier];
	tree->above[depth] = node;
	without = cost_with(tree, node, depth, barrier);
	with = node->first ? 1 + cost_with(tree, node, depth, depth) : UINT32_MAX;
	node->cost[barrier] = with < without ? with : without;
	return node->cost[barrier];
}

static void plan_node(struct Tree *tree, struct Node *node, size_t depth, size_t barrier)
{
	tree->above[depth] = node;
	node->bars_ends =
		cost_of(tree, node, depth, barrier) < cost_with(tree, node, depth, barrier);
	if (node->bars_ends)
		barrier = depth;
	for (uint32_t i = node->first; i; i = tree->nodes[i].next)
		plan_node(tree, &tree->nodes[i], depth + 1, barrier);
}

/* --- globs --- */

/* "[abc]", "[!abc]" */
static char *put_set(char *p, bool but, Set set)
{
	*p++ = '[';
	if (but)
		*p++ = '!';
	for (size_t i = 0; alphabet[i]; i++)
		if (set & ((Set)1 << i))
			*p++ = alphabet[i];
	*p++ = ']';
	return p;
}

/* A character, or one of several. */
static char *put_step(char *p, Set set)
{
	if (set & (set - 1))
		return put_set(p, false, set);
	*p++ = alphabet[__builtin_ctzll(set)];
	return p;
}

#define GLOB_MAX (LENGTH_MAX + 2 * (sizeof(alphabet) + 3) + 2)

static int add_glob(struct Tree *tree, const char *glob, size_t n)
{
	char *copy = strndup(glob, n);

	if (copy && vector_add(tree->globs, &copy, sizeof(copy)) == 0)
		return 0;
	free(copy);
	return -ENOMEM;
}

/* What leaves the tree at the children @who of the node at @depth, which all have @steps. */
static int add_departures(struct Tree *tree, size_t depth, Set who, Set steps)
{
	char glob[GLOB_MAX], *p = glob + depth;

	memcpy(glob, tree->prefix, depth);
	if (who)
		p = put_step(p, who);
	if (steps)
		p = put_set(p, true, steps);
	else if (who || depth > 0)
		*p++ = '?';
	*p++ = '*';
	return add_glob(tree, glob, (size_t)(p - glob));
}

static int add_children_departures(struct Tree *tree, const struct Node *node, size_t depth)
{
	Set done = 0;
	int r = 0;

	for (uint32_t i = node->first; r == 0 && i; i = tree->nodes[i].next) {
		Set who = 0;

		if (done & set_of(tree->nodes[i].c))
			continue;
		for (uint32_t k = i; k; k = tree->nodes[k].next)
			if (tree->nodes[k].steps == tree->nodes[i].steps)
				who |= set_of(tree->nodes[k].c);
		done |= who;
		r = add_departures(tree, depth, who, tree->nodes[i].steps);
	}
	return r;
}

static int add_ends(struct Tree *tree, const struct Node *node, size_t depth, size_t barrier)
{
	char glob[GLOB_MAX], *p = glob + depth;
	Set left = steps_left(tree, node, barrier);
	int r = 0;

	memcpy(glob, tree->prefix, depth);
	if (left) {
		p = put_set(p, false, left);
		r = add_glob(tree, glob, (size_t)(p - glob));
	}
	if (r == 0 && node->bars_ends) {
		p = glob + depth;
		*p++ = '*';
		p = put_set(p, true, node->ends);
		r = add_glob(tree, glob, (size_t)(p - glob));
	}
	return r;
}

static int render_node(struct Tree *tree, const struct Node *node, size_t depth, size_t barrier)
{
	int r;

	tree->above[depth] = node;
	if (node->bars_ends)
		barrier = depth;
	r = add_ends(tree, node, depth, barrier);
	if (r == 0)
		r = add_children_departures(tree, node, depth);
	for (uint32_t i = node->first; r == 0 && i; i = tree->nodes[i].next) {
		tree->prefix[depth] = tree->nodes[i].c;
		r = render_node(tree, &tree->nodes[i], depth + 1, barrier);
	}
	return r;
}

int complement_make(const char *const *allowed, size_t n, struct Vector *ret)
{
	struct Tree tree = {.globs = ret};
	int r;

	*ret = (struct Vector){0};
	r = tree_make(allowed, n, &tree);
	if (r == 0) {
		plan_node(&tree, &tree.nodes[0], 0, NOWHERE);
		r = add_departures(&tree, 0, 0, tree.nodes[0].steps);
	}
	if (r == 0)
		r = render_node(&tree, &tree.nodes[0], 0, NOWHERE);
	tree_done(&tree);
	return r;
}

void complement_done(struct Vector *globs)
{
	strings_done(globs);
}
