/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"
#include "policy-index.h"
#include "random-policy.h"
#include "test.h"

#define POLICIES 2000
#define DEVICES 500 /* for each policy: a million pairs in all */
#define RULES_MAX 40

static void test_index_decides_as_the_linear_matcher(void **state)
{
	unsigned by_rule = 0;

	srand(1);
	for (int i = 0; i < POLICIES; i++) {
		_cleanup_policy_ struct Policy *policy = random_policy(RULES_MAX);

		assert_int_equal(policy_index(policy), 0);
		for (int j = 0; j < DEVICES; j++) {
			_cleanup_device_ struct Device *device = random_device(2);
			struct Moment moment = {.is_hot = draw(2)};
			struct Decision linear, indexed;

			policy_decide_linear(policy, device, &moment, &linear);
			policy_decide(policy, device, &moment, &indexed);
			by_rule += linear.rule != NULL;
			if (linear.rule != indexed.rule || linear.action != indexed.action)
				fail_msg("policy %d, device %d: line %u, not %u", i, j,
					 indexed.rule ? indexed.rule->line : 0,
					 linear.rule ? linear.rule->line : 0);
		}
	}
	/* neither all nor nothing */
	assert_in_range(by_rule, POLICIES * DEVICES / 10, POLICIES * DEVICES * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_index_decides_as_the_linear_matcher),
	};

	return RUN_TESTS("policy-index", tests);
}
