// What OPA has and a policy here may not use, mostly because it reaches outside of the guest or
// tells of it: known by name, so that a policy which uses one is refused when it is compiled, with
// the reason.
#include "policy/builtins/families.h"

namespace coffer::policy {
namespace {

constexpr std::string_view kOutside = "it reaches outside of what the guest may see";
constexpr std::string_view kText = "the text and the annotations of policies are not kept";
constexpr std::string_view kOptions =
    "its options are not there; crypto.x509.parse_and_verify_certificates is";
constexpr std::string_view kTemplates =
    "Go's text templates are not there; sprintf and $\"template {strings}\" are";

constexpr Builtin refused(std::string_view name, std::uint8_t arity, std::string_view why) {
  return {name, arity, nullptr, kRefused, {}, why};
}

constexpr Builtin kTable[] = {
    refused("http.send", 1, kOutside),
    refused("net.lookup_ip_addr", 1, kOutside),
    refused("opa.runtime", 0, kOutside),
    refused("providers.aws.sign_req", 3, kOutside),
    refused("rego.metadata.chain", 0, kText),
    refused("rego.metadata.rule", 0, kText),
    refused("rego.parse_module", 2, kText),
    refused("crypto.x509.parse_and_verify_certificates_with_options", 2, kOptions),
    refused("strings.render_template", 2, kTemplates),
};

}  // namespace

std::span<const Builtin> refused_builtins() { return kTable; }

}  // namespace coffer::policy
