// The key broker: requests of guests and administrators to replies. No sockets, no threads of its
// own; handle() may be called from many at a time, and blocks on the store.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "attestation/kbs/admin_auth.h"
#include "attestation/kbs/http.h"
#include "attestation/kbs/metrics.h"
#include "attestation/kbs/sessions.h"
#include "attestation/protocol/messages.h"
#include "attestation/reference_values/message.h"
#include "attestation/service/service.h"

namespace coffer::kbs {

// All must outlive the broker.
struct BrokerParts {
  store::Store& store;
  rv::ValueSet& values;
  appraisal::Policies& policies;
  appraisal::Records& records;
  appraisal::AttestationService& service;
  const appraisal::TokenSigner& signer;
  Sessions& sessions;
  const AdminAuth& admin;
  Metrics& metrics;
  std::string policy_id;
  std::function<store::UnixTime()> clock;
  bool require_affirming = false;  // no token for a guest that the policy does not affirm
  bool secure_cookie = true;       // set the cookie's attribute Secure: over TLS
  rv::Signers signers = {};        // of reference values
};

class Broker {
 public:
  explicit Broker(BrokerParts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] HttpReply handle(const HttpRequest& request);

 private:
  using Segments = std::vector<std::string>;

  [[nodiscard]] HttpReply route(const HttpRequest& request);
  // Guests (broker_guest.cc).
  [[nodiscard]] HttpReply auth(const HttpRequest& request);
  [[nodiscard]] HttpReply attest(const HttpRequest& request);
  [[nodiscard]] HttpReply evaluate(const Session& session, protocol::Attestation message);
  [[nodiscard]] HttpReply get_resource(const HttpRequest& request, const Segments& path);
  [[nodiscard]] HttpReply release(const nlohmann::json& claims, const std::string& path);
  [[nodiscard]] Result<std::string> token_of(const HttpRequest& request);
  [[nodiscard]] std::string cookie(const Session& session) const;
  // Administrators (broker_admin.cc).
  [[nodiscard]] HttpReply admin(const HttpRequest& request, const Segments& path);
  [[nodiscard]] HttpReply admin_route(const HttpRequest& request, const Segments& path,
                                      const std::string& name);
  [[nodiscard]] HttpReply write_resource(const HttpRequest& request, const Segments& path);
  [[nodiscard]] HttpReply policies(const HttpRequest& request, const Segments& path);
  [[nodiscard]] HttpReply reference_value(const HttpRequest& request, const Segments& path,
                                          const std::string& name);
  [[nodiscard]] HttpReply reference_values(const HttpRequest& request, const Segments& path,
                                           const std::string& name);
  [[nodiscard]] HttpReply attestations(const HttpRequest& request, const Segments& path);

  BrokerParts parts_;
};

// {"type", "detail"} with that status.
[[nodiscard]] HttpReply error_reply(unsigned status, std::string_view variant, std::string detail,
                                    std::string attestation_id = {});
// The status follows from the code.
[[nodiscard]] HttpReply error_reply(std::string_view variant, const Error& error);
// Of the broker, and not of who asks: only the log says what went wrong, as hosts, files and rules
// of a policy are not for guests. They get told_to_guests().
[[nodiscard]] bool is_internal(Code code);
[[nodiscard]] std::string_view told_to_guests(Code code);
// As error_reply(), but nothing of what is_internal().
[[nodiscard]] HttpReply guest_reply(std::string_view variant, const Error& error);
[[nodiscard]] HttpReply json_reply(const nlohmann::json& json);

}  // namespace coffer::kbs
