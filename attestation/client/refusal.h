// What a broker's reply other than 200 means.
#pragma once

#include <string_view>

#include "attestation/protocol/messages.h"
#include "base/error.h"
#include "base/http/client.h"

namespace coffer::client {

struct Refusal {
  long status = 0;
  // Type and detail; when the body was none of the protocol, its beginning as `detail`.
  protocol::ErrorInformation info;
};

[[nodiscard]] Refusal read_refusal(const http::Response& response);

// "POST URL: 401 AttestationError: DETAIL (attestation ID)". 401 kUnauthenticated, 403
// kPermissionDenied, 404 kNotFound, 413 kResourceExhausted, 429 and 5xx kUnavailable. A PolicyDeny
// is kPermissionDenied whatever the status, a refused protocol version kFailedPrecondition.
[[nodiscard]] Error to_error(const Refusal& refusal, std::string_view what);

}  // namespace coffer::client
