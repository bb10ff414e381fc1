// Keys and tags of draft-ietf-rats-corim, by its names. For corim.cc and corim_writer.cc.
#pragma once

#include <cstdint>

namespace coffer::rv::corim {

inline constexpr std::uint64_t kTagged = 500, kTaggedSigned = 502;  // of older drafts
inline constexpr std::uint64_t kUnsigned = 501;                     // unsigned-corim-map
inline constexpr std::uint64_t kConciseMid = 506;                   // bytes .cbor concise-mid-tag
inline constexpr std::uint64_t kTime = 1;                           // RFC 8949: seconds since 1970
inline constexpr std::uint64_t kUuid = 37;
inline constexpr std::uint64_t kSvn = 552;
inline constexpr std::uint64_t kRawValue = 560;

// corim-map
inline constexpr int kId = 0, kTags = 1, kRimValidity = 4;
// validity-map
inline constexpr int kNotBefore = 0, kNotAfter = 1;
// concise-mid-tag
inline constexpr int kTagIdentity = 1, kTriples = 4;
// tag-identity-map
inline constexpr int kTagId = 0;
// triples-map
inline constexpr int kReferenceTriples = 0;
// environment-map, class-map
inline constexpr int kClass = 0, kVendor = 1, kModel = 2;
// measurement-map
inline constexpr int kMkey = 0, kMval = 1;
// measurement-values-map
inline constexpr int kSvnValue = 1, kDigests = 2, kRaw = 4, kSerialNumber = 8, kName = 11;
// protected-corim-header-map, corim-meta-map, corim-signer-map
inline constexpr int kCorimMeta = 8, kSigner = 0, kSignatureValidity = 1, kSignerName = 0;
// IANA, Named Information Hash Algorithms
inline constexpr int kSha256 = 1, kSha384 = 7, kSha512 = 8;

}  // namespace coffer::rv::corim
