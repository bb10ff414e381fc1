#include "tee/x509_bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tee/der.h"

namespace coffer::tee {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::uint8_t kVersionTag = 0xA0;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool blank(std::string_view text) { return std::all_of(text.begin(), text.end(), is_space); }

// A certificate's body starts with its version, which is tagged; a list's never does.
Result<bool> is_certificate(BytesView der) {
  DerReader outer(der, "X.509 object");
  COFFER_TRY(DerReader fields, outer.enter(DerTag::kSequence));
  COFFER_TRY(DerReader body, fields.enter(DerTag::kSequence));
  COFFER_TRY(const DerValue first, body.next());
  return first.tag == kVersionTag;
}

class BundleParser {
 public:
  BundleParser(std::string_view what, const X509BundleLimits& limits)
      : what_(what), limits_(limits) {}

  Status parse_pem(std::string_view text);
  Status parse_der(BytesView bytes);
  X509Bundle take() { return std::move(bundle_); }

 private:
  std::unexpected<Error> bad(std::string_view why) const {
    return fail(Code::kInvalidArgument, fmt::format("parse {}: {}", what_, why));
  }
  Status count() {
    if (++objects_ <= limits_.max_objects) return {};
    return fail(Code::kResourceExhausted,
                fmt::format("parse {}: more than {} certificates", what_, limits_.max_objects));
  }
  Status add_certificate(BytesView der);
  Status add_crl(BytesView der);
  Status block(std::string_view label, std::string_view body);

  std::string_view what_;
  const X509BundleLimits& limits_;
  std::size_t objects_ = 0;
  X509Bundle bundle_;
};

Status BundleParser::add_certificate(BytesView der) {
  COFFER_TRY_VOID(count());
  for (const Certificate& known : limits_.known) {
    if (!std::ranges::equal(known.der(), der)) continue;
    bundle_.certificates.push_back(known);
    return {};
  }
  auto certificate = Certificate::from_der(der);
  if (!certificate) return fail(std::move(certificate.error()).with_context(std::string(what_)));
  bundle_.certificates.push_back(*std::move(certificate));
  return {};
}

Status BundleParser::add_crl(BytesView der) {
  COFFER_TRY_VOID(count());
  auto crl = Crl::from_der(der);
  if (!crl) return fail(std::move(crl.error()).with_context(std::string(what_)));
  bundle_.crls.push_back(*std::move(crl));
  return {};
}

Status BundleParser::block(std::string_view label, std::string_view body) {
  std::string packed(body);
  std::erase_if(packed, is_space);
  auto der = from_base64(packed);
  if (!der) return bad(fmt::format("PEM block is not base64: {}", der.error().message()));
  if (label == "CERTIFICATE") return add_certificate(*der);
  if (label == "X509 CRL") return add_crl(*der);
  return bad(fmt::format("PEM block '{}', want CERTIFICATE or X509 CRL", label.substr(0, 40)));
}

Status BundleParser::parse_pem(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  for (;;) {
    const auto begin = text.find(kBegin);
    const std::string_view before = text.substr(0, begin);
    if (!limits_.text_between_blocks && !blank(before)) return bad("text outside of PEM blocks");
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin + kBegin.size());
    const auto label_end = text.find(kDashes);
    if (label_end == std::string_view::npos) return bad("PEM block has no end of its first line");
    const std::string_view label = text.substr(0, label_end);
    text.remove_prefix(label_end + kDashes.size());
    const std::string end = fmt::format("{}{}{}", kEnd, label, kDashes);
    const auto close = text.find(end);
    if (close == std::string_view::npos) return bad("PEM block does not end");
    COFFER_TRY_VOID(block(label, text.substr(0, close)));
    text.remove_prefix(close + end.size());
  }
}

Status BundleParser::parse_der(BytesView bytes) {
  DerReader reader(bytes, what_);
  while (!reader.at_end()) {
    COFFER_TRY(const DerValue value, reader.next());
    COFFER_TRY(const bool certificate, is_certificate(value.whole));
    COFFER_TRY_VOID(certificate ? add_certificate(value.whole) : add_crl(value.whole));
  }
  return {};
}

}  // namespace

bool looks_like_pem(BytesView bytes) {
  return as_text(bytes).find(kBegin) != std::string_view::npos &&
         (bytes.empty() || bytes[0] != static_cast<std::uint8_t>(DerTag::kSequence));
}

Result<X509Bundle> parse_x509_bundle(BytesView bytes, std::string_view what,
                                     const X509BundleLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return fail(Code::kResourceExhausted, fmt::format("parse {}: {} bytes, the limit is {}", what,
                                                      bytes.size(), limits.max_bytes));
  }
  BundleParser parser(what, limits);
  COFFER_TRY_VOID(looks_like_pem(bytes) ? parser.parse_pem(as_text(bytes))
                                        : parser.parse_der(bytes));
  return parser.take();
}

}  // namespace coffer::tee
