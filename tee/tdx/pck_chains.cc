#include "tee/tdx/pck_chains.h"

#include <algorithm>

#include "tee/x509_bundle.h"

namespace coffer::tdx {
namespace {

Result<PckExtension> read_extension(const tee::Certificate& leaf) {
  const tee::Extension* extension = leaf.extension(kSgxExtensionOid);
  if (extension == nullptr) return fail(Code::kNotFound, "the leaf has no SGX extension");
  return parse_pck_extension(extension->value);
}

}  // namespace

Result<PckChain> parse_pck_chain(BytesView pem, Chain known) {
  if (!tee::looks_like_pem(pem)) return fail(Code::kInvalidArgument, "is not PEM");
  COFFER_TRY(auto bundle, tee::parse_x509_bundle(
                              pem, "PCK chain",
                              {.max_objects = 4, .text_between_blocks = false, .known = known}));
  if (!bundle.crls.empty()) return fail(Code::kInvalidArgument, "holds a CRL");
  if (bundle.certificates.empty()) return fail(Code::kInvalidArgument, "holds no certificate");
  auto pck = read_extension(bundle.certificates.front());
  return PckChain{.certificates = std::move(bundle.certificates), .pck = std::move(pck)};
}

Result<std::shared_ptr<const PckChain>> PckChains::read(BytesView pem, Chain known) {
  if (auto found = find(pem)) return found;
  COFFER_TRY(PckChain parsed, parse_pck_chain(pem, known));
  auto chain = std::make_shared<const PckChain>(std::move(parsed));
  if (pem.size() > kMaxSize) return chain;
  const std::scoped_lock lock(mutex_);
  entries_[next_] = {.pem = Bytes(pem.begin(), pem.end()), .chain = chain};
  next_ = (next_ + 1) % kMaxChains;
  return chain;
}

std::shared_ptr<const PckChain> PckChains::find(BytesView pem) {
  const std::scoped_lock lock(mutex_);
  const auto at = std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.chain != nullptr && std::ranges::equal(entry.pem, pem);
  });
  return at == entries_.end() ? nullptr : at->chain;
}

}  // namespace coffer::tdx
