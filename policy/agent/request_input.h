// A request of the agent's API as the `input` of a policy, encoded exactly as Kata's agent encodes
// it, so that a policy written for Kata gives the same answer (docs/policy/request-encoding.md).
//
// It is the rendering of the message's fields by their names in the .proto, not canonical proto3
// JSON: every field is always there; bytes are arrays of numbers; enums are numbers; an unset
// message or `optional` is null; a field called "type" is "type_".
#pragma once

#include <memory>

#include "base/error.h"
#include "policy/value/value.h"

namespace google::protobuf {
class Message;
}

namespace coffer::policy {

// Keeps the field names of the messages it has seen as values, so that they are made once.
class RequestEncoder {
 public:
  RequestEncoder();
  ~RequestEncoder();
  RequestEncoder(const RequestEncoder&) = delete;
  RequestEncoder& operator=(const RequestEncoder&) = delete;

  // A CopyFileRequest becomes the object that Kata's agent shows instead of it: no data, but
  // file_type and symlink_target; a symlink target that is not UTF-8 is kInvalidArgument.
  //
  // So is a text with a NUL byte, in any request: a rule would see all of it, and the kernel and
  // crun only what stands before.
  [[nodiscard]] Result<Value> encode(const google::protobuf::Message& request);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::policy
