#include "tee/tdx/trust.h"

#include <algorithm>

namespace coffer::tdx {
namespace {

// 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3
constexpr tee::Digest256 kIntelRoot = {
    0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35,
    0x0e, 0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3};

}  // namespace

const tee::Digest256& intel_root_fingerprint() { return kIntelRoot; }

bool TrustAnchors::trusts(const tee::Certificate& root) const {
  if (pinned_) return root.fingerprint() == kIntelRoot;
  return std::ranges::any_of(roots_,
                             [&](const auto& anchor) { return anchor.der() == root.der(); });
}

std::string TrustAnchors::describe() const {
  if (pinned_) return "Intel SGX Root CA " + to_hex(kIntelRoot);
  std::string text = "a root given by the caller:";
  for (const auto& root : roots_) text += " " + to_hex(root.fingerprint());
  return text;
}

}  // namespace coffer::tdx
