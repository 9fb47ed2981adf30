/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The API's own description, an OpenAPI 3.1.1 document, generated from routes.def and messages.def. */
#include "base/buf.h"

#define OPENAPI_PATH "/api/v1/openapi.json"

/* Append the document. */
void openapi_add(struct buf *out);
