/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "snapshot.h"

/* What is read as a snapshot can be written and read again; what is not is refused with a reason.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_inventory_ struct Inventory inventory = {0}, again = {0};
	_cleanup_free_ char *text = fuzz_string(data, size), *problem = NULL, *none = NULL;
	struct json_object *root;
	const char *written;

	if (snapshot_parse(text, strlen(text), &inventory, &problem) < 0) {
		check(problem);
		return 0;
	}
	root = snapshot_to_json(&inventory);
	written = json_object_to_json_string(root);
	check(snapshot_parse(written, strlen(written), &again, &none) == 0);
	check(again.n == inventory.n);
	for (size_t i = 0; i < again.n; i++)
		check(streq(again.devices[i]->syspath, inventory.devices[i]->syspath));
	json_object_put(root);
	return 0;
}
