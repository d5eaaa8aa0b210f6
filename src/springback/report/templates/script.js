document.querySelectorAll('.strip').forEach(s=>{const t=[...s.querySelectorAll('.tok')];if(!t.length)return;
const pick=e=>t.forEach(x=>{x.tabIndex=x===e?0:-1;x.nextElementSibling.classList.toggle('on',x===e)});
pick(t.find(x=>x.nextElementSibling.classList.contains('on'))||t[0]);
t.forEach((x,i)=>{x.addEventListener('mouseenter',()=>pick(x));x.addEventListener('focus',()=>pick(x));
x.addEventListener('keydown',e=>{const d={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key];
const j=e.key==='Home'?0:e.key==='End'?t.length-1:d?Math.min(t.length-1,Math.max(0,i+d)):-1;
if(j>=0){e.preventDefault();t[j].focus()}})})});
addEventListener('beforeprint',()=>document.querySelectorAll('details:not(.dt,.more)').forEach(d=>d.open=true));
