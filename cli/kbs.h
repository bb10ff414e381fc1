// `coffer kbs ...`: speak to a key broker, Coffer's or Trustee's.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/http/client.h"
#include "cli/command.h"

namespace coffer::cli {

[[nodiscard]] std::vector<Command> kbs_commands();

// As a guest (kbs_client.cc): attest, get-resource.
[[nodiscard]] Command kbs_attest();
[[nodiscard]] Command kbs_get_resource();

// Which broker, and how it is known: the options that every command has.
struct BrokerOptions {
  std::string url = {};        // --url
  std::string cert_file = {};  // --cert-file
  std::string tls_pin = {};    // --tls-pin
  std::string timeout = {};    // --timeout
};
void declare_broker(Options& options, BrokerOptions& broker);
// The URL: --url, else $KBS_URL, else Trustee's default, http://127.0.0.1:8080.
[[nodiscard]] std::string broker_url(const BrokerOptions& broker);
// Reads the files. Says on stderr when what is sent can be read and changed on the way.
[[nodiscard]] Result<http::Settings> broker_http(const BrokerOptions& broker);

}  // namespace coffer::cli
