/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-json.h"

#include <errno.h>
#include <yaml.h>

#include "generate.h"
#include "output.h"
#include "parse.h"
#include "policy-write.h"

/* --- from one notation to the other --- */

/* A word that stands without quotes is what JSON has a type for, if it has one. */
static struct json_object *scalar_to_json(const yaml_node_t *node)
{
	const char *value = (const char *)node->data.scalar.value;
	bool is_plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (is_plain && (streq(value, "true") || streq(value, "false")))
		return json_object_new_boolean(streq(value, "true"));
	if (is_plain && !value[strspn(value, "0123456789")])
		return json_object_new_int64((int64_t)strtoull(value, NULL, 10));
	return json_object_new_string(value);
}

/* The recursion is as deep as a policy may be. */
static struct json_object *node_to_json(yaml_document_t *document, const yaml_node_t *node)
{
	struct json_object *object;

	if (node->type == YAML_SCALAR_NODE)
		return scalar_to_json(node);
	if (node->type == YAML_SEQUENCE_NODE) {
		object = json_object_new_array();
		for (const yaml_node_item_t *item = node->data.sequence.items.start;
		     item < node->data.sequence.items.top; item++)
			(void)json_object_array_add(
				object,
				node_to_json(document, yaml_document_get_node(document, *item)));
		return object;
	}
	object = json_object_new_object();
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(document, pair->key);

		json_object_object_add(
			object, (const char *)key->data.scalar.value,
			node_to_json(document, yaml_document_get_node(document, pair->value)));
	}
	return object;
}

/* @text is a policy that was written here. */
static int text_to_json(const char *text, size_t size, struct json_object **ret)
{
	yaml_parser_t parser;
	yaml_document_t document;
	const yaml_node_t *root;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	if (!yaml_parser_load(&parser, &document)) {
		r = parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EBADMSG;
		yaml_parser_delete(&parser);
		return r;
	}
	root = yaml_document_get_root_node(&document);
	if (root)
		*ret = node_to_json(&document, root);
	else
		r = -EBADMSG;
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return r;
}

/* --- names --- */

/* A rule called "7" and the rule at line 7 would go by one name. */
static bool has_number_for_name(const struct Policy *policy)
{
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const char *name = policy_rule(policy, i)->name;

		if (name && !name[strspn(name, "0123456789")])
			return true;
	}
	return false;
}

static int add_names(struct json_object *root, const struct Policy *policy)
{
	struct json_object *rules = json_object_object_get(root, "rules");
	bool lines_are_unique = !has_number_for_name(policy);

	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const struct Rule *rule = policy_rule(policy, i);
		_cleanup_free_ char *name = rule_name(rule);

		if (!name)
			return -ENOMEM;
		if (rule->name || lines_are_unique)
			json_add_string(json_object_array_get_idx(rules, i), "name", name);
	}
	return 0;
}

/* --- policies --- */

int policy_to_json(const struct Policy *policy, struct json_object **ret)
{
	size_t size;
	_cleanup_free_ char *text = policy_text(policy, &size);
	struct json_object *root;
	int r;

	if (!text)
		return -ENOMEM;
	r = text_to_json(text, size, &root);
	if (r < 0)
		return r;
	r = add_names(root, policy);
	if (r < 0)
		json_object_put(root);
	else
		*ret = root;
	return r;
}

int policy_generate_json(const struct View *view, struct json_object **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r = file ? policy_generate(file, view) : -ENOMEM;

	if (file && (fclose(file) != 0 || !text) && r >= 0)
		r = -ENOMEM;
	if (r >= 0)
		r = text_to_json(text, size, ret);
	if (r < 0)
		return r;
	if (json_text_size(*ret) < PARSE_SIZE_MAX) /* with the end of its line */
		return 0;
	(void)json_object_put(*ret);
	return -EFBIG;
}
