// What a container sends to the guest's REST API. Cut in two where the first byte says: a request
// means the same however it arrives.
#include <cstddef>
#include <cstdint>
#include <optional>

#include "attestation/guest_api/http_request.h"
#include "base/bytes.h"

namespace {

using namespace coffer;

// The request, or nothing when it is none (yet).
std::optional<guest_api::HttpRequest> read(std::string_view text, std::size_t cut) {
  guest_api::RequestParser parser;
  std::string buffer(text.substr(0, cut));
  for (int part = 0; part < 2; ++part) {
    while (!buffer.empty() && !parser.done()) {
      const auto used = parser.feed(buffer);
      if (!used) return std::nullopt;
      check(*used <= buffer.size(), "no more is used than there is");
      buffer.erase(0, *used);
      if (*used == 0) break;
    }
    if (part == 0) buffer += text.substr(cut);
  }
  if (!parser.done()) return std::nullopt;
  auto request = parser.take();
  if (!request) return std::nullopt;
  return *std::move(request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = as_text(BytesView(data + 1, size - 1));
  const auto whole = read(text, text.size());
  const auto halves = read(text, data[0] % (text.size() + 1));
  if (whole && halves) {
    check(
        whole->path == halves->path && whole->body == halves->body && whole->query == halves->query,
        "a request in halves is the same request");
  }
  return 0;
}
