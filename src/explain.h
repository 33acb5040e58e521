/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "supposed.h"
#include "view.h"

/* What `explain` tells of a device, or of a modalias. */

/* One rule, and what came of it. */
struct Tried {
	const struct Rule *rule;
	enum Answer fits;
	const char *failed_key; /* with ANSWER_NO */
	char *outcome;		/* for people, not escaped; owned */
};

struct Explanation {
	const struct View *view;
	const struct Device *device;
	const struct Modalias *modalias; /* what the device is supposed from; NULL: it is one */
	struct Vector tried;		 /* of struct Tried: up to the first that surely fits */
	struct Vector verdicts;		 /* of struct Verdict: those that are possible */
	struct Vector depends_on;	 /* of strings, not owned: keys that tell which of them */
};

/* The verdict, where only one is possible, else NULL. */
const struct Verdict *explanation_verdict(const struct Explanation *explanation);

/* What becomes of explanation->device by @decision, which was made at @moment. Both return 0 or
 * -ENOMEM; the caller calls explanation_done() in each case. */
int explain_device(struct Explanation *explanation, const struct Decision *decision,
		   const struct Moment *moment);

/* What can become of a device that explanation->modalias is of, as if it was the first that its
 * rule admits, and nothing was frozen. */
int explain_modalias(struct Explanation *explanation);

/* What policies can ask for and @modalias does not tell: adds static strings to *ret, which the
 * caller frees by vector_done(). Returns 0 or -ENOMEM. */
int modalias_untold(const struct Modalias *modalias, struct Vector *ret);

void explanation_done(struct Explanation *explanation);
