// The policy's say in what the guest's APIs (REST, ttrpc) give to containers. coffer-attester,
// which serves them, asks here by its own connection.
//
// Unless the policy has a rule for one of them, whoever asks gets, as in CoCo. With one, each of
// them is evaluated, and one without a rule is refused: a token or evidence would open the resource
// that its own rule keeps shut.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "guest-agent/gate.h"
#include "rpc/ttrpc/router.h"

namespace coffer::gate {
class AuthorizeRequest;
}

namespace coffer::agent {

// A container as the gate needs to know it.
struct ApiContainer {
  std::filesystem::path cgroup;  // its directory
  std::map<std::string, std::string> annotations;
};
using ApiContainers = std::map<std::string, ApiContainer>;  // by id

class ApiGate {
 public:
  // `policy`, and what `containers` refers to, must outlive it.
  ApiGate(PolicyGate& policy, std::function<ApiContainers()> containers,
          std::filesystem::path proc = "/proc")
      : policy_(policy), containers_(std::move(containers)), proc_(std::move(proc)) {}

  // kPermissionDenied says why not.
  [[nodiscard]] Status authorize(gate::AuthorizeRequest request) const;
  // coffer.gate.GuestApiGate; this must outlive the router's calls.
  void add_to(rpc::Router& router) const;

 private:
  [[nodiscard]] bool restricts() const;
  // Who it is that asks, as far as the policy may rely on it.
  [[nodiscard]] Status name_caller(gate::AuthorizeRequest& request) const;

  PolicyGate& policy_;
  std::function<ApiContainers()> containers_;
  std::filesystem::path proc_;
};

}  // namespace coffer::agent
