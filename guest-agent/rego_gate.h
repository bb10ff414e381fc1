// The policy gate by Rego: the rules of package agent_policy, asked as Kata's agent asks them, with
// the state that they keep from request to request.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "guest-agent/gate.h"

namespace coffer::agent {

class RegoGate final : public PolicyGate {
 public:
  // Compiles `text`; kInvalidArgument with place and cause when it is no policy. `name` is what
  // prints name as their file.
  [[nodiscard]] static Result<std::unique_ptr<RegoGate>> load(std::string name,
                                                              std::string_view text);
  ~RegoGate() override;

  // The rule's value is true, false, or {"allowed": bool, "ops": [JSON patch]}; with ops, the state
  // (data.pstate) changes when the request is allowed. An undefined rule, another value, a patch
  // that does not apply and a limit that is reached are errors, and so deny.
  Result<Verdict> evaluate(std::string_view entry_point,
                           const google::protobuf::Message& request) override;
  [[nodiscard]] bool has_rule(std::string_view entry_point) const override;
  Status set_policy(std::string_view text) override;
  [[nodiscard]] std::string_view name() const override { return "rego"; }

 private:
  struct Loaded;
  RegoGate();

  std::unique_ptr<Loaded> loaded_;
};

}  // namespace coffer::agent
