// What reaches outside of the guest, or tells of it: known by name, so that a policy which uses one
// is refused when it is compiled, with the reason.
#include "policy/builtins/families.h"

namespace coffer::policy {
namespace {

constexpr Builtin kTable[] = {
    {"http.send", 1, nullptr, kRefused},
    {"net.lookup_ip_addr", 1, nullptr, kRefused},
    {"opa.runtime", 0, nullptr, kRefused},
    {"providers.aws.sign_req", 3, nullptr, kRefused},
    // The text of the policy itself, and its annotations: not kept in the guest.
    {"rego.metadata.chain", 0, nullptr, kRefused},
    {"rego.metadata.rule", 0, nullptr, kRefused},
    {"rego.parse_module", 2, nullptr, kRefused},
};

}  // namespace

std::span<const Builtin> refused_builtins() { return kTable; }

}  // namespace coffer::policy
