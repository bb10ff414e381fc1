#include "guest-agent/attester/broker_config.h"

namespace coffer::attester {
namespace {

std::string_view without_slash(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return url;
}

}  // namespace

Result<BrokerConfig> parse_broker_config(std::optional<std::string_view> aa,
                                         std::optional<std::string_view> cdh) {
  BrokerConfig out;
  if (aa) {
    COFFER_TRY(out.aa, parse_aa_config(*aa));
  }
  if (cdh) {
    COFFER_TRY(out.cdh, parse_cdh_config(*cdh));
  }
  if (out.aa.url.empty()) {
    out.aa.url = out.cdh.url;
    out.aa.cert = out.cdh.cert;
  }
  if (without_slash(out.cdh.url) == without_slash(out.aa.url)) out.cdh.url.clear();
  return out;
}

}  // namespace coffer::attester
