// coffer-launch: run by the shim for a pod with initdata or an emulated TEE, and by people to see
// what such a pod's launch measures. Says on stderr what is wrong, in one line.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/fd.h"
#include "cli/launch/launch.h"

namespace {

using namespace coffer;  // NOLINT(google-build-using-namespace): the program's own

constexpr std::string_view kUsage =
    "usage: coffer-launch < REQUEST.json\n"
    "What a pod's launch gives to its TEE: the digest of its initdata, the initdata disk, and for\n"
    "an emulated TEE the values that hardware would have measured. The request and the answer are\n"
    "one JSON object each.\n"
    "example: echo '{\"tee\": \"snp\", \"initdata\": \"H4sI...\", \"disk\": \"initdata.img\"}' | "
    "coffer-launch\n";
constexpr std::size_t kMaxRequest = std::size_t{4} << 20U;

Result<launch::Answer> answer() {
  COFFER_TRY(const std::string text, read_all(STDIN_FILENO, kMaxRequest, "the request"));
  COFFER_TRY(const launch::Request request, launch::parse_request(text));
  return launch::prepare(request);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const bool help = std::string_view(argv[1]) == "--help";
    fmt::print(help ? stdout : stderr, "{}", kUsage);
    return help ? 0 : 2;
  }
  const auto out = answer();
  if (!out) {
    fmt::print(stderr, "{}\n", out.error().to_string());
    return 1;
  }
  fmt::print("{}\n", launch::to_json(*out));
  return 0;
}
