// coffer-attester: the agent's hand in attestation, in the guest.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <span>
#include <string_view>

#include "base/log.h"
#include "guest-agent/attester/commands.h"
#include "rpc/protos/quiet.h"

namespace {

using namespace coffer;  // NOLINT(google-build-using-namespace): the program's own

constexpr std::string_view kUsage =
    "usage: coffer-attester initdata TEE ROOT FOLDER [DEVICE]\n"
    "       coffer-attester serve TEE ROOT FOLDER COMPONENTS REST-API [GATE-FD]\n"
    "initdata: checks the initdata disk against the hardware and writes its entries to FOLDER.\n"
    "serve: attests to the key broker of FOLDER/aa.toml, prints \"attested\", and serves the\n"
    "guest's APIs: COMPONENTS is none, attestation-agent, confidential-data-hub or\n"
    "api-server-rest, each with those before it; REST-API is resource, attestation or all. The\n"
    "agent answers at GATE-FD what its policy allows containers; without it they get nothing.\n"
    "example: coffer-attester initdata snp / /run/confidential-containers/initdata /dev/vda\n";

int finish(const Status& status) {
  if (status) return 0;
  fmt::print(stderr, "{}\n", status.error().to_string());
  return 1;
}

Status initdata(std::span<char*> args) {
  attester::InitdataSettings settings;
  settings.tee = {.name = args[0], .root = args[1]};
  settings.out = args[2];
  if (args.size() > 3) settings.device = args[3];
  COFFER_TRY(const std::string summary, attester::take_initdata(settings));
  fmt::print("{}\n", summary);
  return {};
}

Status serve(std::span<char*> args) {
  attester::ServeSettings settings;
  settings.tee = {.name = args[0], .root = args[1]};
  settings.folder = args[2];
  settings.components = args[3];
  settings.rest_api = args[4];
  if (args.size() > 5) {
    const std::string_view text = args[5];
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), settings.gate_fd);
    if (error != std::errc{} || end != text.data() + text.size())
      return fail(Code::kInvalidArgument, fmt::format("read GATE-FD '{}': want a number", text));
  }
  return attester::serve(settings);
}

}  // namespace

int main(int argc, char** argv) {
  ignore_sigpipe();
  silence_protobuf();
  const std::span<char*> all(argv, static_cast<std::size_t>(argc));
  const std::string_view command = argc > 1 ? all[1] : "";
  if (command == "initdata" && (argc == 5 || argc == 6)) return finish(initdata(all.subspan(2)));
  if (command == "serve" && (argc == 7 || argc == 8)) return finish(serve(all.subspan(2)));
  const bool help = command == "--help";
  fmt::print(help ? stdout : stderr, "{}", kUsage);
  return help ? 0 : 2;
}
