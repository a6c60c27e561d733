var loopsJSON={"columns":["Pipelined","II"],"children":[]};
var areaJSON={"columns":["","ALUTs","FFs","RAMs","DSPs","MLABs"],"total":[12000,24000,60,30,12],"total_percent":[2.5,1.25,1.25,3,2],"max_resources":[960000,1920000,2000,1500,24000],"name":"System"};
var fileJSON=[{"path":"jet.cpp","content":"int main() { return '}'; }"}];
