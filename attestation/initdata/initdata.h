// Initdata: what a tenant gives to a guest at its start, in Kata's form. A TOML text with
// `version`, `algorithm` and a table [data] of file names and texts; its digest is what the
// hardware binds.
//
//   version = "0.1.0"
//   algorithm = "sha384"
//   [data]
//   "policy.rego" = '''...'''
//   "aa.toml" = '''...'''
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::initdata {

inline constexpr std::string_view kVersion = "0.1.0";
// Of the plain text. An annotation holds at most 1 MiB.
inline constexpr std::size_t kMaxText = std::size_t{4} << 20U;
inline constexpr std::size_t kMaxEntries = 64;

// Entries that Coffer acts on.
inline constexpr std::string_view kPolicyEntry = "policy.rego";
inline constexpr std::string_view kAaEntry = "aa.toml";
inline constexpr std::string_view kCdhEntry = "cdh.toml";

enum class Algorithm : std::uint8_t { kSha256, kSha384, kSha512 };
// "sha256", "sha384", "sha512".
[[nodiscard]] std::string_view algorithm_name(Algorithm algorithm);

struct Initdata {
  Algorithm algorithm = Algorithm::kSha256;
  std::map<std::string, std::string, std::less<>> data;

  // Null when there is no such entry.
  [[nodiscard]] const std::string* entry(std::string_view name) const;
};

// kInvalidArgument names what is wrong: no TOML, another version, an unknown algorithm or key, a
// data entry that is no text or whose name could leave its folder, more than kMaxEntries.
// kResourceExhausted above kMaxText.
[[nodiscard]] Result<Initdata> parse(std::string_view text);

// Over the text exactly as it stands.
[[nodiscard]] Bytes digest(Algorithm algorithm, std::string_view text);

// As the field of a report holds a digest: cut, or padded with zeros on the right.
[[nodiscard]] Bytes fit(BytesView digest, std::size_t size);
inline constexpr std::size_t kSnpHostData = 32;  // HOST_DATA
inline constexpr std::size_t kTdxConfigId = 48;  // MRCONFIGID
inline constexpr std::size_t kTpmPcr = 32;       // what PCR 8 of SHA-256 is extended with
inline constexpr unsigned kTpmPcrIndex = 8;
// What PCR 8 holds then, if it was extended once.
[[nodiscard]] Bytes extended_pcr(BytesView digest);

// What a field of any TEE may hold of this digest, each once: the reference value `init_data`.
[[nodiscard]] std::vector<Bytes> bound_values(BytesView digest);

// The value of the annotation io.katacontainers.config.hypervisor.cc_init_data: base64 of gzip. The
// same text gives the same value.
[[nodiscard]] std::string pack(std::string_view text);
// The gzip in an annotation's value, not unpacked. White space around the value is passed over.
[[nodiscard]] Result<Bytes> decode_annotation(std::string_view value);
// decode_annotation() and gunzip().
[[nodiscard]] Result<std::string> unpack(std::string_view value);

}  // namespace coffer::initdata
