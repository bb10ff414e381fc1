// The REST API that CoCo's api-server-rest has: which request asks for what.
#pragma once

#include <string>

#include "attestation/guest_api/backend.h"
#include "attestation/guest_api/http_request.h"

namespace coffer::guest_api {

// api-server-rest's features: "resource" (its default), "attestation", "all".
struct Features {
  bool resource = true;
  bool attestation = false;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "text/plain";
  SecretBytes body;  // a secret as often as not
};

// GET /cdh/resource/{repository}/{type}/{tag}; GET /aa/token?token_type=kbs; GET
// /aa/evidence?runtime_data=TEXT[&encoding=base64]; GET /aa/additional-evidence?runtime_data=TEXT;
// POST /aa/aael {"domain","operation","content"}; GET /info. 400, 403, 404, 405, 501 and 500 with
// the reason as text.
[[nodiscard]] Task<HttpReply> answer(Backend& backend, Features features, HttpRequest request);

// A reply that says no more than this.
[[nodiscard]] HttpReply text_reply(int status, std::string_view text);
[[nodiscard]] HttpReply error_reply(const Error& error);

}  // namespace coffer::guest_api
