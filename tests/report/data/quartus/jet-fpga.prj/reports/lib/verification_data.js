var verifJSON={"name":"Verification Statistics","functions":[{"name":"jet","data":["10","31,33,32","5,6,5.5"]}]};
