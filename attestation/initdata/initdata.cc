#include "attestation/initdata/initdata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "attestation/initdata/gzip.h"
#include "base/toml.h"
#include "tee/digest.h"

namespace coffer::initdata {
namespace {

constexpr std::array<std::pair<std::string_view, Algorithm>, 3> kAlgorithms{
    {{"sha256", Algorithm::kSha256},
     {"sha384", Algorithm::kSha384},
     {"sha512", Algorithm::kSha512}}};

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read initdata: {}", why));
}

Result<std::string> text_at(const toml::table& table, std::string_view key, std::string_view want) {
  const auto* node = table.get(key);
  if (node == nullptr) return bad(fmt::format("'{}' is missing, want {}", key, want));
  if (!node->is_string()) return bad(fmt::format("'{}' is no text, want {}", key, want));
  return node->as_string()->get();
}

// It becomes a file's name in the guest.
bool is_file_name(std::string_view name) {
  constexpr std::size_t kMaxName = 128;
  return !name.empty() && name.size() <= kMaxName && !name.starts_with('.') &&
         std::ranges::all_of(name,
                             [](char c) { return c > ' ' && c < '\x7f' && c != '/' && c != '\\'; });
}

Status read_entry(std::string_view name, const toml::node& node, Initdata& out) {
  if (!is_file_name(name)) return bad(fmt::format("[data] '{}': not a file name", name));
  if (!node.is_string()) return bad(fmt::format("[data] '{}': want a text", name));
  out.data.emplace(name, node.as_string()->get());
  return {};
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) {
  return std::ranges::find(kAlgorithms, algorithm, [](const auto& one) { return one.second; })
      ->first;
}

const std::string* Initdata::entry(std::string_view name) const {
  const auto found = data.find(name);
  return found == data.end() ? nullptr : &found->second;
}

Result<Initdata> parse(std::string_view text) {
  if (text.size() > kMaxText) {
    return fail(Code::kResourceExhausted,
                fmt::format("read initdata: {} bytes, want at most {}", text.size(), kMaxText));
  }
  COFFER_TRY(const toml::table table, parse_toml(text, "initdata"));
  for (const auto& [key, value] : table) {
    if (key != "version" && key != "algorithm" && key != "data") {
      return bad(fmt::format("'{}': no such key (want version, algorithm, [data])", key.str()));
    }
  }
  COFFER_TRY(const std::string version, text_at(table, "version", "\"0.1.0\""));
  if (version != kVersion) return bad(fmt::format("version '{}', want '{}'", version, kVersion));
  COFFER_TRY(const std::string name, text_at(table, "algorithm", "sha256, sha384 or sha512"));
  const auto* const found =
      std::ranges::find(kAlgorithms, name, [](const auto& one) { return one.first; });
  if (found == kAlgorithms.end()) {
    return bad(fmt::format("algorithm '{}', want sha256, sha384 or sha512", name));
  }
  Initdata out{.algorithm = found->second, .data = {}};
  const auto* data = table.get("data");
  if (data == nullptr || !data->is_table()) return bad("table [data] is missing");
  if (data->as_table()->size() > kMaxEntries) {
    return bad(fmt::format("[data] holds more than {} entries", kMaxEntries));
  }
  for (const auto& [key, value] : *data->as_table()) {
    COFFER_TRY_VOID(read_entry(key.str(), value, out));
  }
  return out;
}

Bytes digest(Algorithm algorithm, std::string_view text) {
  switch (algorithm) {
    case Algorithm::kSha256:
      return tee::hash(tee::HashAlgorithm::kSha256, as_bytes(text));
    case Algorithm::kSha384:
      return tee::hash(tee::HashAlgorithm::kSha384, as_bytes(text));
    case Algorithm::kSha512:
      break;
  }
  return tee::hash(tee::HashAlgorithm::kSha512, as_bytes(text));
}

Bytes fit(BytesView digest, std::size_t size) {
  Bytes out(digest.begin(),
            digest.begin() + static_cast<std::ptrdiff_t>(std::min(digest.size(), size)));
  out.resize(size);
  return out;
}

Bytes extended_pcr(BytesView digest) {
  tee::Hasher hasher(tee::HashAlgorithm::kSha256);
  return hasher.update(Bytes(kTpmPcr)).update(fit(digest, kTpmPcr)).finish();
}

std::vector<Bytes> bound_values(BytesView digest) {
  std::vector<Bytes> out;
  for (Bytes& value : std::array{fit(digest, kSnpHostData), fit(digest, kTdxConfigId),
                                 extended_pcr(digest), Bytes(digest.begin(), digest.end())}) {
    if (std::ranges::find(out, value) == out.end()) out.push_back(std::move(value));
  }
  return out;
}

std::string pack(std::string_view text) { return to_base64(gzip(text)); }

Result<Bytes> decode_annotation(std::string_view value) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto start = value.find_first_not_of(kBlank);
  if (start == std::string_view::npos) return bad("the annotation is empty");
  value = value.substr(start, value.find_last_not_of(kBlank) + 1 - start);
  auto bytes = from_base64(value);
  if (bytes) return bytes;
  return fail(std::move(bytes).error().with_context(
      "read initdata: want base64 of gzip of TOML (see 'coffer initdata pack')"));
}

Result<std::string> unpack(std::string_view value) {
  COFFER_TRY(const Bytes packed, decode_annotation(value));
  return gunzip(packed, kMaxText);
}

}  // namespace coffer::initdata
