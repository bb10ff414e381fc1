// The policy gate. A handler of the agent API takes an Authorized<Request>, and only the gate makes
// one: a method that is not evaluated against the policy does not compile.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace google::protobuf {
class Message;
}

namespace coffer::agent {

// What the policy said. "Could not find out" is an Error, and the gate then denies.
struct Verdict {
  bool allowed = false;
  // Of a denial: why, for the caller, who is the host. Empty when the tenant wants nothing said.
  std::string reason;
};

// A policy. `entry_point` is the name of the request's message ("CreateContainerRequest").
// Single-threaded; an evaluation that allows may change the policy's own state.
class PolicyGate {
 public:
  PolicyGate() = default;
  PolicyGate(const PolicyGate&) = delete;
  PolicyGate& operator=(const PolicyGate&) = delete;
  virtual ~PolicyGate() = default;

  [[nodiscard]] virtual Result<Verdict> evaluate(std::string_view entry_point,
                                                 const google::protobuf::Message& request) = 0;
  // Whether it says anything about this entry point. For what is allowed unless a policy speaks of
  // it; the agent's API is not.
  [[nodiscard]] virtual bool has_rule(std::string_view /*entry_point*/) const { return false; }
  // Replaces the policy; the caller has had SetPolicyRequest evaluated. kInvalidArgument when the
  // text does not parse: the old policy stays.
  [[nodiscard]] virtual Status set_policy(std::string_view text) = 0;
  // For the log and for GetGuestDetails: "allow-all", or the engine's name.
  [[nodiscard]] virtual std::string_view name() const = 0;
};

// Allows everything. For guests that protect nothing from their host, and for tests.
class AllowAllGate final : public PolicyGate {
 public:
  Result<Verdict> evaluate(std::string_view entry_point,
                           const google::protobuf::Message& request) override;
  Status set_policy(std::string_view text) override;
  [[nodiscard]] std::string_view name() const override { return "allow-all"; }
};

// A request that the policy has allowed.
template <typename Request>
class Authorized {
 public:
  const Request& operator*() const { return request_; }
  const Request* operator->() const { return &request_; }
  // The request itself, for a handler that keeps parts of it.
  Request take() && { return std::move(request_); }

 private:
  friend class Gate;
  explicit Authorized(Request request) : request_(std::move(request)) {}
  Request request_;
};

class Gate {
 public:
  // `policy` must outlive the gate.
  Gate(PolicyGate& policy, Logger log) : policy_(policy), log_(std::move(log)) {}

  // kPermissionDenied when the policy denies, kInternal when it could not be evaluated; in both
  // cases with the message that Kata's agent sends, quotation marks included (a client may look for
  // "is blocked by policy").
  template <typename Request>
  [[nodiscard]] Result<Authorized<Request>> authorize(Request request) const {
    COFFER_TRY_VOID(ask(Request::descriptor()->name(), request));
    return Authorized<Request>(std::move(request));
  }

  [[nodiscard]] PolicyGate& policy() const { return policy_; }

 private:
  [[nodiscard]] Status ask(std::string_view entry_point,
                           const google::protobuf::Message& request) const;

  PolicyGate& policy_;
  Logger log_;
};

}  // namespace coffer::agent
